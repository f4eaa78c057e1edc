/*
 * timed: stands in for a CNI plugin, runs the real one, and writes down how long that took.
 *
 * The real one has the same name, in /opt/cni/bin. A line a call in /run/cni-times: CNI_COMMAND, microseconds, exit code.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    const char *command = getenv("CNI_COMMAND"), *slash = strrchr(argv[0], '/');
    char real[256], line[128];
    int status = 0;
    long long began = now_us();
    if (!argc || snprintf(real, sizeof real, "/opt/cni/bin/%s", slash ? slash + 1 : argv[0]) >= (int)sizeof real) return 1;
    pid_t child = vfork();
    if (child < 0) return 1;
    if (!child) {
        execv(real, argv);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child) return 1;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    int length = snprintf(line, sizeof line, "%.20s %lld %d\n", command ? command : "-", now_us() - began, code);
    int log = open("/run/cni-times", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || write(log, line, (size_t)length) != length) return 1;
    return code;
}
