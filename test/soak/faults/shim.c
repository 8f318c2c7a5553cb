/*
 * Put before libc by LD_PRELOAD: makes one call on files below FAULT_FOLDER fail, or all from one on. Which, says the file
 * FAULT_PLAN, which is mapped, so that the process under test can change it as it goes on: whole numbers of four bytes, the
 * kind of call, how many of that kind come before the failure, its errno, whether those after it fail too, whether it has
 * failed; then how many calls of each kind there were.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, WRITE, SYNC, RENAME, READ_OPEN, READ, FOLDER_OPEN, FOLDER_SYNC, UNLINK, MKDIR, KINDS };

struct plan {
  int kind;
  int before;
  int error;
  int lasting;
  int hit;
  int seen[KINDS];
};

static struct plan *plan;
static char folder[PATH_MAX];
static size_t folder_length;

__attribute__((constructor)) static void start(void) {
  const char *file = getenv("FAULT_PLAN");
  const char *place = getenv("FAULT_FOLDER");
  if (file == NULL || place == NULL) return;
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  const int descriptor = real(file, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  void *memory = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) return;
  snprintf(folder, sizeof folder, "%s/", place);
  folder_length = strlen(folder);
  plan = memory;
}

static int below(const char *path) { return plan != NULL && path != NULL && strncmp(path, folder, folder_length) == 0; }

/* Whether this call is to fail; errno is then set. */
static int due(enum kind kind) {
  __atomic_fetch_add(&plan->seen[kind], 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&plan->kind, __ATOMIC_SEQ_CST) != (int)kind) return 0;
  const int left = __atomic_fetch_sub(&plan->before, 1, __ATOMIC_SEQ_CST);
  if (left > 0 || (left < 0 && !plan->lasting)) return 0;
  __atomic_store_n(&plan->hit, 1, __ATOMIC_SEQ_CST);
  errno = plan->error;
  return 1;
}

/* Whether a descriptor is of a file below the folder; also tells a folder's. */
static int descriptor_below(int descriptor, int *is_folder) {
  char link[64];
  char path[PATH_MAX];
  struct stat status;
  if (plan == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  *is_folder = fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  if (*is_folder && (size_t)length < sizeof path - 1) strcat(path, "/");
  return below(path);
}

static enum kind kind_of_open(int flags) {
  if ((flags & O_DIRECTORY) == O_DIRECTORY) return FOLDER_OPEN;
  return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0 ? OPEN : READ_OPEN;
}

#define REAL(result, name, ...)                                \
  static result (*real)(__VA_ARGS__);                          \
  if (real == NULL) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OPENING(name)                                          \
  int name(const char *path, int flags, ...) {                 \
    REAL(int, #name, const char *, int, ...);                  \
    va_list list;                                              \
    va_start(list, flags);                                     \
    const mode_t mode = va_arg(list, mode_t);                  \
    va_end(list);                                              \
    if (below(path) && due(kind_of_open(flags))) return -1;    \
    return real(path, flags, mode);                            \
  }

OPENING(open)
OPENING(open64)

#define ON_DESCRIPTOR(result, name, kind, types, parameters, arguments) \
  result name parameters {                                              \
    static result(*real) types;                                         \
    int is_folder = 0;                                                  \
    if (real == NULL) real = (result(*) types)dlsym(RTLD_NEXT, #name);  \
    if (descriptor_below(descriptor, &is_folder) && due(kind)) return -1; \
    return real arguments;                                              \
  }

ON_DESCRIPTOR(ssize_t, write, WRITE, (int, const void *, size_t), (int descriptor, const void *data, size_t size),
              (descriptor, data, size))
ON_DESCRIPTOR(ssize_t, pwrite, WRITE, (int, const void *, size_t, off_t),
              (int descriptor, const void *data, size_t size, off_t offset), (descriptor, data, size, offset))
ON_DESCRIPTOR(ssize_t, pwrite64, WRITE, (int, const void *, size_t, off64_t),
              (int descriptor, const void *data, size_t size, off64_t offset), (descriptor, data, size, offset))
ON_DESCRIPTOR(ssize_t, writev, WRITE, (int, const struct iovec *, int),
              (int descriptor, const struct iovec *parts, int count), (descriptor, parts, count))
ON_DESCRIPTOR(ssize_t, read, READ, (int, void *, size_t), (int descriptor, void *data, size_t size),
              (descriptor, data, size))
ON_DESCRIPTOR(ssize_t, pread, READ, (int, void *, size_t, off_t),
              (int descriptor, void *data, size_t size, off_t offset), (descriptor, data, size, offset))
ON_DESCRIPTOR(ssize_t, pread64, READ, (int, void *, size_t, off64_t),
              (int descriptor, void *data, size_t size, off64_t offset), (descriptor, data, size, offset))
ON_DESCRIPTOR(int, fsync, (is_folder ? FOLDER_SYNC : SYNC), (int), (int descriptor), (descriptor))
ON_DESCRIPTOR(int, fdatasync, (is_folder ? FOLDER_SYNC : SYNC), (int), (int descriptor), (descriptor))

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  if (below(to) && due(RENAME)) return -1;
  return real(from, to);
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  if (below(path) && due(UNLINK)) return -1;
  return real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  if (below(path) && due(MKDIR)) return -1;
  return real(path, mode);
}
