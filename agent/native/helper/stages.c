/* The stages that the job's first processes report to `launch`. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"

void report_stage(int to, const char *stage, int error) {
  struct stage_report report = {.error = error};
  snprintf(report.stage, sizeof report.stage, "%s", stage);
  send(to, &report, sizeof report, MSG_NOSIGNAL);
}

void fail(const char *stage) {
  report_stage(LAUNCHER, stage, errno);
  _exit(127);
}
