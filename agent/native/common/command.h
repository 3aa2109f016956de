/* What each C program has: its arguments, and its output. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>

/* Before each error message; each program defines its own. */
extern const char program_name[];

/* The value of `--key value` before `--`; NULL when it is not there. */
const char *option(char **argv, const char *key);
/* The same, but a missing one ends the program with wrong usage (2). */
const char *required(char **argv, const char *key);
/*
 * The same for a number in decimal digits, which ends the program too if it is none. UINT_MAX is none: as a user's id it
 * means "unchanged" to the kernel.
 */
unsigned int number_option(char **argv, const char *key);
bool flag(char **argv, const char *key);
/* The value that comes `nth` (from 0) among all of `--key value`; NULL after the last. */
const char *nth_option(char **argv, const char *key, int nth);
/* The program and its arguments: what comes after `--`. */
char **after_dashes(char **argv);
int wrong_usage(const char *what);

/* One line on standard output. A reader that has gone is no error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Why it failed, as {"error":{"stage","errno","message"}}; returns the exit status 1. */
int say_error(const char *stage, int error);

#endif
