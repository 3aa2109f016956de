/*
 * A core file has, in this order: its head, a table of its parts, notes (the threads' registers, what the kernel told the
 * program at its start), and memory: here the stacks and the kernel's code in the program (vdso(7)). The rest is in the
 * files that the process has mapped.
 */
#include "core-file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __x86_64__
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

#define NAME "CORE"
#define ALIGNED(size) (((size) + 3) & ~(size_t)3)
#define MOST_VDSO 65536
#define MOST_AUXV 4096

static void put_note(FILE *to, Elf64_Word type, const void *content, size_t size) {
  const Elf64_Nhdr head = {.n_namesz = sizeof NAME, .n_descsz = (Elf64_Word)size, .n_type = type};
  char name[ALIGNED(sizeof NAME)] = NAME;
  fwrite(&head, sizeof head, 1, to);
  fwrite(name, sizeof name, 1, to);
  fwrite(content, size, 1, to);
  fwrite("\0\0\0", ALIGNED(size) - size, 1, to);
}

static size_t note_size(size_t size) { return sizeof(Elf64_Nhdr) + ALIGNED(sizeof NAME) + ALIGNED(size); }

static size_t read_auxv(const struct process *process, char room[MOST_AUXV]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/auxv", process->pid, process->living);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t got = read(file, room, MOST_AUXV);
  close(file);
  return got > 0 ? (size_t)got : 0;
}

/* The kernel's code in the program: where it is, and its bytes. */
static size_t read_vdso(const struct process *process, uint64_t *at, char room[MOST_VDSO]) {
  unsigned long start, end;
  const char *line = strstr(process->maps, "[vdso]");
  while (line && line > process->maps && line[-1] != '\n') line--;
  if (!line || sscanf(line, "%lx-%lx", &start, &end) != 2 || end - start > MOST_VDSO) return 0;
  struct iovec here = {room, end - start}, there = {(void *)start, end - start};
  const ssize_t got = process_vm_readv(process->living, &here, 1, &there, 1, 0);
  *at = start;
  return got > 0 ? (size_t)got : 0;
}

static void put_part(FILE *to, uint64_t address, size_t size, Elf64_Word flags, size_t *offset) {
  const Elf64_Phdr part = {.p_type = PT_LOAD, .p_flags = flags, .p_offset = *offset, .p_vaddr = address,
                           .p_filesz = size, .p_memsz = size, .p_align = 1};
  fwrite(&part, sizeof part, 1, to);
  *offset += size;
}

static void put_notes(FILE *to, const struct process *process, const char *auxv, size_t auxv_size) {
  for (size_t i = 0; i < process->count; i++) {
    const struct thread *thread = &process->threads[i];
    if (!thread->stopped) continue;
    struct elf_prstatus status = {.pr_pid = thread->tid};
    memcpy(&status.pr_reg, &thread->registers, sizeof status.pr_reg);
    put_note(to, NT_PRSTATUS, &status, sizeof status);
  }
  put_note(to, NT_AUXV, auxv, auxv_size);
}

static void put_all(FILE *to, const struct process *process) {
  static char auxv[MOST_AUXV], vdso[MOST_VDSO];
  uint64_t vdso_at = 0;
  size_t stacks = 0, stopped = 0;
  const size_t auxv_size = read_auxv(process, auxv), vdso_size = read_vdso(process, &vdso_at, vdso);
  for (size_t i = 0; i < process->count; i++) {
    stopped += process->threads[i].stopped;
    stacks += process->threads[i].size > 0;
  }
  const size_t parts = 1 + stacks + (vdso_size > 0);
  const Elf64_Phdr notes = {
      .p_type = PT_NOTE,
      .p_offset = sizeof(Elf64_Ehdr) + parts * sizeof(Elf64_Phdr),
      .p_filesz = stopped * note_size(sizeof(struct elf_prstatus)) + note_size(auxv_size),
      .p_align = 4,
  };
  const Elf64_Ehdr head = {
      .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE},
      .e_type = ET_CORE,
      .e_machine = MACHINE,
      .e_version = EV_CURRENT,
      .e_phoff = sizeof(Elf64_Ehdr),
      .e_ehsize = sizeof(Elf64_Ehdr),
      .e_phentsize = sizeof(Elf64_Phdr),
      .e_phnum = (Elf64_Half)parts,
  };
  size_t offset = notes.p_offset + notes.p_filesz;
  fwrite(&head, sizeof head, 1, to);
  fwrite(&notes, sizeof notes, 1, to);
  for (size_t i = 0; i < process->count; i++)
    if (process->threads[i].size) put_part(to, process->threads[i].stack, process->threads[i].size, PF_R | PF_W, &offset);
  if (vdso_size) put_part(to, vdso_at, vdso_size, PF_R | PF_X, &offset);
  put_notes(to, process, auxv, auxv_size);
  for (size_t i = 0; i < process->count; i++)
    fwrite(process->copy + process->threads[i].at, process->threads[i].size, 1, to);
  fwrite(vdso, vdso_size, 1, to);
}

int write_core(const struct process *process, const char *path) {
  FILE *to = fopen(path, "we");
  if (!to) return -1;
  put_all(to, process);
  const bool failed = ferror(to);
  return fclose(to) || failed ? -1 : 0;
}
