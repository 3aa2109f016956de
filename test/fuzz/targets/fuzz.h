/* What the fuzzers have in common: each is a libFuzzer target (https://llvm.org/docs/LibFuzzer.html). */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What is left of an input. */
struct input {
  const uint8_t *at;
  size_t left;
};
/* The next bytes; zeros when there are no more. */
void take_bytes_of(struct input *input, void *to, size_t size);
uint8_t take_byte(struct input *input);

/* Counts; ends the program, as a success, when it is told to do no more than this (FUZZ_REQUESTS). */
void count_requests(uint64_t more);
/* A finding of this project's own: what must hold does not. */
#define MUST(holds) ((holds) ? (void)0 : must_fail(#holds, __FILE__, __LINE__))
void must_fail(const char *what, const char *file, int line) __attribute__((noreturn));

/*
 * A file system of this process's own with few bytes and nothing in it, at `at`, which this enters. What a fuzzer does
 * there is gone with it.
 */
void enter_scratch(const char *at, const char *size);
/* From root to a user that owns nothing; `at` belongs to it. */
void become_nobody(const char *at);
/* Removes all that is in a folder, whatever its rights are. */
void empty_folder(int folder);

#endif
