/* The parts of a message of the host, each looked for within its bounds: nothing in it is trusted. */
#include <assert.h>
#include <string.h>

#include "homefs.h"
#include "serve-parts.h"

const void *arguments(const struct request *request, size_t size) {
  return request->size >= size ? request->body : NULL;
}

const char *text_at(const struct request *request, size_t offset) {
  if (offset >= request->size) return NULL;
  const char *text = request->body + offset;
  return *text && memchr(text, 0, request->size - offset) ? text : NULL;
}

const char *name_at(const struct request *request, size_t offset) {
  const char *name = text_at(request, offset);
  return name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/') ? name : NULL;
}

void *answer(struct request *request, size_t size) {
  assert(size <= MAX_DATA);
  memset(request->answer, 0, size);
  request->answer_size = size;
  return request->answer;
}
