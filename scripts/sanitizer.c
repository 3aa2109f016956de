/*
 * How the sanitisers behave in programs that are built with GODWIT_SANITIZE=1. What they find goes into files, which
 * scripts/test-sanitized.sh looks for: the standard error of most of these programs is not read. Leaks are not looked
 * for: the programs keep what they have until they are killed.
 */
#define FOUND "/var/lib/godwit/sanitizer/found"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
  return "log_path=" FOUND ":detect_leaks=0:detect_stack_use_after_return=1:allocator_may_return_null=1";
}

const char *__ubsan_default_options(void) { return "log_path=" FOUND ":print_stacktrace=1"; }
