/* A disk that dies or fails at the n-th operation: a library to preload, armed by a call of fault_arm.

   Counted is every operation that changes something below one folder, on whatever thread; with `reads`,
   opening a file to read it as well. At operation `at` the process is killed, a write half done, or the
   operation fails with an error number: once, or from then on, as a full disk does, whose last write is
   a short one. */

#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

struct told {
    atomic_long count;  /* operations so far */
    char words[PATH_MAX + 64];  /* what the fault hit; empty if there was none */
};

static char folder[PATH_MAX];
static long fatal;
static int number, forever, with_reads;
static struct told *told;

/* below: no folder for no faults. error_number: 0 kills. into: memory that outlives this process. */
void fault_arm(const char *below, long at, int error_number, int from_then_on, int reads, struct told *into)
{
    told = into;
    fatal = at;
    number = error_number;
    forever = from_then_on;
    with_reads = reads;
    told->count = 0;
    told->words[0] = 0;
    snprintf(folder, sizeof folder, "%s%s", below, *below ? "/" : "");
}

enum kind { READS, NEEDS_SPACE, FREES_SPACE, LOCKS };

static int is_ours(const char *path) { return folder[0] && !strncmp(path, folder, strlen(folder)); }

/* Write the absolute name of `path` as seen from an open folder, or of the open file itself if there is none. */
static void absolute(int at, const char *path, char *into)
{
    char link[64], start[PATH_MAX];
    ssize_t length;
    if (path && path[0] == '/') {
        snprintf(into, PATH_MAX, "%s", path);
        return;
    }
    if (at == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    length = readlink(link, start, sizeof start - 1);
    start[length < 0 ? 0 : length] = 0;
    if (path)
        snprintf(into, PATH_MAX, "%.2000s/%.2000s", start, path);
    else
        snprintf(into, PATH_MAX, "%s", start);
}

static ssize_t write_half(int fd, const void *data, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    return real(fd, data, size / 2);
}

/* Count one operation; return whether it must fail now. Give what a write writes, or no data. */
static int fails(const char *name, enum kind kind, int at, const char *path, const void *data, size_t size)
{
    char full[PATH_MAX];
    long now;
    int saved = errno;
    if (!folder[0] || (kind == READS && !with_reads))
        return 0;
    absolute(at, path, full);
    errno = saved;
    if (!is_ours(full))
        return 0;
    now = ++told->count;
    if (!fatal || now < fatal || (now > fatal && !forever))
        return 0;
    /* A full disk still lets go and locks; a broken one does nothing any more. */
    if (now > fatal && (number == ENOSPC || number == EDQUOT) && kind != NEEDS_SPACE)
        return 0;
    if (now > fatal && number == EROFS && (kind == READS || kind == LOCKS))
        return 0;
    if (now > fatal && number == ENOLCK && kind != LOCKS)
        return 0;
    if (now == fatal)
        snprintf(told->words, sizeof told->words, "operation %ld, %s %s", now, name, full);
    if (number) {
        errno = number;
        return 1;
    }
    if (data)
        (void)!write_half(at, data, size);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

#define REAL(name, result, ...) result (*real)(__VA_ARGS__) = dlsym(RTLD_NEXT, #name)

#define OPENS(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? NEEDS_SPACE : READS)
#define MODE(mode, last)                                  \
    mode_t mode = 0;                                      \
    if (flags & (O_CREAT | O_TMPFILE)) {                  \
        va_list rest;                                     \
        va_start(rest, last);                             \
        mode = va_arg(rest, mode_t);                      \
        va_end(rest);                                     \
    }

#define OPEN(name)                                                                   \
    int name(const char *path, int flags, ...)                                       \
    {                                                                                \
        REAL(name, int, const char *, int, ...);                                     \
        MODE(mode, flags)                                                            \
        if (fails(#name, OPENS(flags), AT_FDCWD, path, NULL, 0)) return -1;      \
        return real(path, flags, mode);                                              \
    }
#define OPENAT(name)                                                                 \
    int name(int at, const char *path, int flags, ...)                               \
    {                                                                                \
        REAL(name, int, int, const char *, int, ...);                                \
        MODE(mode, flags)                                                            \
        if (fails(#name, OPENS(flags), at, path, NULL, 0)) return -1;            \
        return real(at, path, flags, mode);                                          \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write, ssize_t, int, const void *, size_t);
    if (!fails("write", NEEDS_SPACE, fd, NULL, data, size)) return real(fd, data, size);
    return forever && told->count == fatal && size > 1 ? write_half(fd, data, size) : -1;
}

#define PWRITE(name, offset_type)                                                    \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset)          \
    {                                                                                \
        REAL(name, ssize_t, int, const void *, size_t, offset_type);                 \
        if (fails(#name, NEEDS_SPACE, fd, NULL, NULL, 0)) return -1;             \
        return real(fd, data, size, offset);                                         \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FILE(name, kind)                                                          \
    int name(int fd)                                                                 \
    {                                                                                \
        REAL(name, int, int);                                                        \
        if (fails(#name, kind, fd, NULL, NULL, 0)) return -1;                    \
        return real(fd);                                                             \
    }
ON_FILE(fsync, NEEDS_SPACE)
ON_FILE(fdatasync, NEEDS_SPACE)

/* A close that fails has closed all the same. Closing what was only read is no operation. */
int close(int fd)
{
    REAL(close, int, int);
    int saved = errno, failed = 0;
    if (folder[0] && fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
        failed = fails("close", NEEDS_SPACE, fd, NULL, NULL, 0);
    if (failed) {
        int wanted = errno;
        real(fd);
        errno = wanted;
        return -1;
    }
    errno = saved;
    return real(fd);
}

#define TRUNCATE(name, first, at, path, offset_type)                                 \
    int name(first, offset_type size)                                                \
    {                                                                                \
        REAL(name, int, first, offset_type);                                         \
        if (fails(#name, NEEDS_SPACE, at, path, NULL, 0)) return -1;             \
        return real(given, size);                                                    \
    }
TRUNCATE(ftruncate, int given, given, NULL, off_t)
TRUNCATE(ftruncate64, int given, given, NULL, off64_t)
TRUNCATE(truncate, const char *given, AT_FDCWD, given, off_t)
TRUNCATE(truncate64, const char *given, AT_FDCWD, given, off64_t)

int flock(int fd, int operation)
{
    REAL(flock, int, int, int);
    if (fails("flock", LOCKS, fd, NULL, NULL, 0)) return -1;
    return real(fd, operation);
}

#define ON_PATH(name, kind)                                                          \
    int name(const char *path)                                                       \
    {                                                                                \
        REAL(name, int, const char *);                                               \
        if (fails(#name, kind, AT_FDCWD, path, NULL, 0)) return -1;              \
        return real(path);                                                           \
    }
ON_PATH(unlink, FREES_SPACE)
ON_PATH(rmdir, FREES_SPACE)

int unlinkat(int at, const char *path, int flags)
{
    REAL(unlinkat, int, int, const char *, int);
    if (fails("unlinkat", FREES_SPACE, at, path, NULL, 0)) return -1;
    return real(at, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir, int, const char *, mode_t);
    if (fails("mkdir", NEEDS_SPACE, AT_FDCWD, path, NULL, 0)) return -1;
    return real(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    REAL(mkdirat, int, int, const char *, mode_t);
    if (fails("mkdirat", NEEDS_SPACE, at, path, NULL, 0)) return -1;
    return real(at, path, mode);
}

#define TWO_PATHS(name)                                                              \
    int name(const char *path, const char *other)                                    \
    {                                                                                \
        REAL(name, int, const char *, const char *);                                 \
        if (fails(#name, NEEDS_SPACE, AT_FDCWD, other, NULL, 0)) return -1;      \
        return real(path, other);                                                    \
    }
TWO_PATHS(rename)
TWO_PATHS(link)
TWO_PATHS(symlink)

int renameat(int at, const char *path, int other_at, const char *other)
{
    REAL(renameat, int, int, const char *, int, const char *);
    if (fails("renameat", NEEDS_SPACE, other_at, other, NULL, 0)) return -1;
    return real(at, path, other_at, other);
}

int linkat(int at, const char *path, int other_at, const char *other, int flags)
{
    REAL(linkat, int, int, const char *, int, const char *, int);
    if (fails("linkat", NEEDS_SPACE, other_at, other, NULL, 0)) return -1;
    return real(at, path, other_at, other, flags);
}

int symlinkat(const char *path, int at, const char *other)
{
    REAL(symlinkat, int, const char *, int, const char *);
    if (fails("symlinkat", NEEDS_SPACE, at, other, NULL, 0)) return -1;
    return real(path, at, other);
}
