/*
 * Preloaded into a gdbserver older than 14 on x86-64. Those take the place of the AVX-512 registers in the XSAVE area
 * (Intel SDM vol. 1, 13.5) from the layout of CPUs that have MPX; on others they write back at each resume what they
 * read from the wrong place, and so clear zmm16 to zmm31 of the program. If it finds x87, SSE and AVX only,
 * they leave the rest of the area as the kernel gave it.
 */
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Where the kernel puts XCR0 in the area (struct fxregs_state, sw_reserved: arch/x86 xstate_fx_sw_bytes). */
#define XCR0_OFFSET 464
#define X87_SSE_AVX 7u

static void hide_avx512(struct iovec *area) {
  uint64_t xcr0;
  if (area->iov_len < XCR0_OFFSET + sizeof xcr0) return;
  char *at = (char *)area->iov_base + XCR0_OFFSET;
  memcpy(&xcr0, at, sizeof xcr0);
  xcr0 &= X87_SSE_AVX;
  memcpy(at, &xcr0, sizeof xcr0);
}

/* As glibc's ptrace: the three PEEK requests return the word that the system call stores (ptrace(2), NOTES). */
long ptrace(enum __ptrace_request request, ...) {
  va_list list;
  va_start(list, request);
  pid_t pid = va_arg(list, pid_t);
  void *addr = va_arg(list, void *);
  void *data = va_arg(list, void *);
  va_end(list);
  long word = 0;
  int peeks = request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER;
  long result = syscall(SYS_ptrace, request, pid, addr, peeks ? (void *)&word : data);
  if (result >= 0 && request == PTRACE_GETREGSET && (long)addr == NT_X86_XSTATE) hide_avx512(data);
  return peeks && result == 0 ? word : result;
}
