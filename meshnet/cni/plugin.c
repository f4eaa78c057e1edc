// The CNI plugin: carries a call of the container runtime to the node's daemon and prints what it answers.
//
// A static program without state, configuration files or heap, since a runtime starts it for every call and a node's
// host may have nothing to run a script with. It opens the pod's network namespace and a NETLINK_ROUTE socket inside
// it, and sends both with its CNI_* variables and its standard input over a unix socket (docs/architecture.md, "The
// local socket"). VERSION and STATUS it answers itself. It ends in bounded time whatever the daemon does.
// meshnet/cni/front.py is the same program for where no compiler was; one table of tests holds for both.
//
// Environment, besides CNI_*: MESHNET_SOCKET, the daemon's socket; MESHNET_ALIVE, the file that the daemon touches.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_ENV = 64 * 1024, MAX_REPLY = 2 * 1024 * 1024, HEADER = 9, FRAME_VERSION = 1 };
enum { MAX_TOTAL = 2 * MAX_REPLY };  // DEL and CHECK bring back what ADD answered, inside the configuration
enum {
    ANSWER_MS = 60000,  // for everything; a runtime's own limit is longer for ADD, or acts first
    STDIN_MS = 5000,
    STDIN_OPTIONAL_MS = 1000,  // VERSION and STATUS do without; a person may have typed them
    ADD_AWAY_MS = 5000,        // a daemon that restarts is back by then
    AWAY_MS = 1000,
    NAP_MS = 25,
    GRACE_S = 60,  // a failing STATUS turns the whole node NotReady
    LAST_RESORT_S = 90,  // a runtime that does not read what we print
};
enum { INVALID_ENVIRONMENT = 4, IO_FAILURE = 5, INVALID_NETNS = 8, TRY_AGAIN = 11, UNAVAILABLE = 50, INTERNAL = 999 };
enum { ROUTE = 0 };  // NETLINK_ROUTE: musl has no linux/netlink.h
enum outcome { ANSWERED, LOST, SLOW, TOO_LONG };

static const char *const SUPPORTED[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
enum { VERSIONS = sizeof SUPPORTED / sizeof *SUPPORTED };

struct call {
    const char *command;
    const char *socket;   // path of the daemon's socket
    const char *version;  // of CNI, to answer in
    long deadline_ms;
    size_t length;  // of the request so far, header included
    int fds[2];     // the pod's network namespace, a netlink socket inside it
    int nfds;
};

static char request[HEADER + MAX_TOTAL + 1];  // one more byte tells too long from just fitting
static char reply[MAX_REPLY + 1];             // here as well

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is(const struct call *call, const char *command) { return !strcmp(call->command, command); }

static int write_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) data += n, length -= (size_t)n;
    }
    return 0;
}

// ---- errors

// Text as the inside of a JSON string. What is not ASCII becomes '?': paths and names may be any bytes.
static size_t escape(char *out, const char *text) {
    size_t n = 0;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') out[n++] = '\\', out[n++] = *text;
        else if (byte < 0x20 || byte == 0x7f) n += (size_t)sprintf(out + n, "\\u%04x", byte);
        else out[n++] = byte < 0x80 ? *text : '?';
    }
    return n;
}

__attribute__((format(printf, 3, 4))) static int fail(const struct call *call, int code, const char *format, ...) {
    static char text[4096], out[6 * sizeof text + 128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int n = sprintf(out, "{\"cniVersion\": \"%s\", \"code\": %d, \"msg\": \"", call->version, code);
    n += (int)escape(out + n, text);
    n += sprintf(out + n, "\"}\n");
    write_all(STDOUT_FILENO, out, (size_t)n);
    return 1;
}

// ---- JSON, without building anything

struct object {
    int whole;            // one object, closed, and nothing after it
    const char *version;  // the supported version that its own key cniVersion names, or NULL
};

static const char *skip_space(const char *at, const char *end) {
    while (at < end && strchr(" \t\r\n", *at) && *at) at++;
    return at;
}

static const char *string_end(const char *at, const char *end) {  // at: behind the opening quote
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    return at < end ? at : NULL;
}

static const char *supported(const char *text, size_t length) {
    for (int i = 0; i < VERSIONS; i++)
        if (strlen(SUPPORTED[i]) == length && !memcmp(SUPPORTED[i], text, length)) return SUPPORTED[i];
    return NULL;
}

// If the string from..to is the key cniVersion: the version that its value names.
static void note_version(struct object *found, const char *from, const char *to, const char *end) {
    static const char KEY[] = "cniVersion";
    if ((size_t)(to - from) != sizeof KEY - 1 || memcmp(from, KEY, sizeof KEY - 1)) return;
    const char *at = skip_space(to + 1, end);
    if (at == end || *at != ':') return;
    at = skip_space(at + 1, end);
    const char *close = at < end && *at == '"' ? string_end(at + 1, end) : NULL;
    found->version = close ? supported(at + 1, (size_t)(close - at - 1)) : NULL;
}

static struct object scan(const char *at, const char *end) {
    struct object found = {0, NULL};
    long depth = 0;
    for (at = skip_space(at, end); at < end; at++) {
        if (!depth && *at != '{') break;
        if (*at == '"') {
            const char *close = string_end(at + 1, end);
            if (!close) break;
            if (depth == 1) note_version(&found, at + 1, close, end);
            at = close;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && !--depth) {
            found.whole = skip_space(at + 1, end) == end;
            break;
        }
    }
    return found;
}

// ---- the request

static int take_environment(struct call *call) {
    const char *longest = "CNI_";
    size_t total = 0;
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, "CNI_", 4) || !strchr(*entry, '=')) continue;
        size_t length = strlen(*entry) + 1;
        if (length > strlen(longest)) longest = *entry;
        total += length;
        if (total > MAX_ENV) continue;
        memcpy(request + call->length, *entry, length);
        call->length += length;
    }
    if (total <= MAX_ENV) return 0;
    size_t name = strcspn(longest, "=");
    return fail(call, INVALID_ENVIRONMENT,
                "%.*s: the CNI_* variables have %zu bytes together: at most %d, and this one is the longest",
                name < 100 ? (int)name : 100, longest, total, MAX_ENV);
}

// Reads to the end of standard input. NULL, or what is wrong.
static const char *take_stdin(struct call *call, long limit_ms) {
    long until = now_ms() + limit_ms;
    size_t room = HEADER + MAX_TOTAL + 1;
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        long left = until - now_ms();
        int ready = left > 0 ? poll(&in, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return ready ? strerror(errno) : "its end did not come in time";
        ssize_t n = read(STDIN_FILENO, request + call->length, room - call->length);
        if (n < 0 && errno != EINTR && errno != EAGAIN) return strerror(errno);
        if (!n) return NULL;
        if (n > 0) call->length += (size_t)n;
        if (call->length == room) return "longer than 4 MiB with the environment";
    }
}

static void put_u32(char *at, size_t value) {
    for (int i = 0; i < 4; i++) at[i] = (char)(value >> 8 * i);
}

static int same_file(int fd, const char *path) {
    struct stat one, other;
    return !fstat(fd, &one) && !stat(path, &other) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int overridden(void) {
    const char *value = getenv("CNI_NETNS_OVERRIDE");
    return value && (!strcasecmp(value, "true") || !strcmp(value, "1"));
}

// Opens the pod's namespace, enters it, and opens a netlink socket there. A unix socket's path is the same from
// anywhere, so there is no way back and none is needed. For DEL the namespace may be gone.
static int take_netns(struct call *call) {
    const char *path = getenv("CNI_NETNS");
    int needed = !is(call, "DEL");
    if (!path || !*path)
        return needed ? fail(call, INVALID_ENVIRONMENT, "CNI_NETNS: is needed and empty or missing") : 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return needed ? fail(call, INVALID_ENVIRONMENT, "CNI_NETNS: %.2000s: %s", path, strerror(errno)) : 0;
    if (!overridden() && same_file(fd, "/proc/self/ns/net"))
        return needed ? fail(call, INVALID_NETNS, "CNI_NETNS: %.2000s: is the plugin's own network namespace", path)
                      : 0;
    if (setns(fd, CLONE_NEWNET))
        return needed ? fail(call, INVALID_ENVIRONMENT,
                             "CNI_NETNS: %.2000s: cannot be entered as a network namespace: %s", path, strerror(errno))
                      : 0;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, ROUTE);
    if (netlink < 0)
        return needed ? fail(call, INTERNAL, "netlink socket in %.2000s: %s", path, strerror(errno)) : 0;
    call->fds[0] = fd, call->fds[1] = netlink, call->nfds = 2;
    return 0;
}

// ---- the daemon

static int dial(const struct call *call) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    long left = call->deadline_ms - now_ms();
    struct timeval limit = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 + 1};  // for a full backlog
    if (strlen(call->socket) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
    memcpy(address.sun_path, call->socket, strlen(call->socket));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) &&
        !connect(fd, (struct sockaddr *)&address, sizeof address)) return fd;
    int reason = errno;
    close(fd);
    return errno = reason, -1;
}

static int ready(const struct call *call, int fd, short events) {
    struct pollfd conn = {.fd = fd, .events = events};
    long left = call->deadline_ms - now_ms();
    return left > 0 && poll(&conn, 1, (int)left) > 0;
}

static enum outcome send_request(const struct call *call, int fd) {
    union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } control = {{0}};
    struct iovec data = {request, call->length};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (call->nfds) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_len = CMSG_LEN(sizeof call->fds);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(header), call->fds, sizeof call->fds);
    }
    while (data.iov_len) {
        if (!ready(call, fd, POLLOUT)) return SLOW;
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN) return LOST;
        if (n <= 0) continue;
        data.iov_base = (char *)data.iov_base + n, data.iov_len -= (size_t)n;
        message.msg_control = NULL, message.msg_controllen = 0;
    }
    return ANSWERED;
}

// Reads to the end. An answer cut off in the middle is none: its daemon died.
static enum outcome receive_reply(const struct call *call, int fd, size_t *length) {
    *length = 0;
    for (;;) {
        if (!ready(call, fd, POLLIN)) return SLOW;
        if (*length == sizeof reply) return TOO_LONG;
        ssize_t n = recv(fd, reply + *length, sizeof reply - *length, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET) n = 0;  // the end as well, of one that did not read all we sent
        if (n < 0 && errno != EINTR && errno != EAGAIN) return LOST;
        if (n > 0) *length += (size_t)n;
        if (n) continue;
        if (!*length) return LOST;
        int ours = *reply == '0' || *reply == '1';  // if not, waiting for a whole one is of no use
        return !ours || *length == 1 || scan(reply + 1, reply + *length).whole ? ANSWERED : LOST;
    }
}

// Nothing to wait for any more. A pod must not be kept from going: its namespace takes the links with it, and the
// daemon's start and GC clean up the rest.
static int give_up(const struct call *call, const char *reason) {
    if (!is(call, "DEL"))
        return fail(call, TRY_AGAIN, "daemon at %.200s: %s; it must come back, or `meshnet cni uninstall` take meshnet "
                    "off this node", call->socket, reason);
    dprintf(STDERR_FILENO, "meshnet: DEL: daemon at %s: %s; it cleans up when it is back\n", call->socket, reason);
    return 0;
}

static int print_reply(const struct call *call, size_t length) {
    if (*reply != '0' && *reply != '1')
        return fail(call, INTERNAL, "daemon at %.200s: its answer begins with byte %d: not of this version",
                    call->socket, (unsigned char)*reply);
    return write_all(STDOUT_FILENO, reply + 1, length - 1) ? 1 : *reply - '0';
}

static int ask_daemon(const struct call *call) {
    long patience_ms = is(call, "ADD") ? ADD_AWAY_MS : AWAY_MS;
    for (long away_ms = 0;;) {
        const char *reason = "closed the connection without a whole answer";
        size_t length = 0;
        int fd = dial(call);
        if (fd >= 0) {
            enum outcome sent = send_request(call, fd);
            // One that refused before the end of the request may have said why.
            enum outcome got = sent == SLOW ? SLOW : receive_reply(call, fd, &length);
            close(fd);
            if (got == ANSWERED) return print_reply(call, length);
            if (got == SLOW) return give_up(call, "did not answer in time");
            if (got == TOO_LONG)
                return fail(call, INTERNAL, "daemon at %.200s: its answer is longer than 2 MiB", call->socket);
        } else {
            reason = errno == EAGAIN ? "did not accept in time" : strerror(errno);
        }
        long before = now_ms();
        if (away_ms + NAP_MS > patience_ms || before + NAP_MS > call->deadline_ms) return give_up(call, reason);
        poll(NULL, 0, NAP_MS);
        away_ms += now_ms() - before;
    }
}

// ---- what needs no daemon

static int print_version(const struct call *call) {
    char out[256];
    int n = sprintf(out, "{\"cniVersion\": \"%s\", \"supportedVersions\": [", call->version);
    for (int i = 0; i < VERSIONS; i++) n += sprintf(out + n, "%s\"%s\"", i ? ", " : "", SUPPORTED[i]);
    n += sprintf(out + n, "]}\n");
    return write_all(STDOUT_FILENO, out, (size_t)n) ? 1 : 0;
}

static int print_status(const struct call *call) {
    char beside[4096];
    const char *slash = strrchr(call->socket, '/'), *alive = getenv("MESHNET_ALIVE");
    struct stat file;
    if (!alive || !*alive) {
        snprintf(beside, sizeof beside, "%.*salive", slash ? (int)(slash - call->socket + 1) : 0, call->socket);
        alive = beside;
    }
    if (stat(alive, &file))
        return fail(call, UNAVAILABLE, "daemon is not running on this node: %.2000s: %s", alive, strerror(errno));
    long age_s = (long)(time(NULL) - file.st_mtime);  // negative: the clock was set back, and tells nothing
    if (age_s <= GRACE_S) return 0;
    return fail(call, UNAVAILABLE,
                "daemon is not running on this node: %.2000s was last touched %ld s ago, at most %d are right", alive,
                age_s, GRACE_S);
}

static int run(struct call *call) {
    if (!*call->command) return fail(call, INVALID_ENVIRONMENT, "CNI_COMMAND: is needed and empty or missing");
    int alone = is(call, "VERSION") || is(call, "STATUS");
    int known = alone || is(call, "ADD") || is(call, "DEL") || is(call, "CHECK") || is(call, "GC");
    if (known && !alone && take_environment(call)) return 1;
    size_t env_end = call->length;
    const char *wrong = take_stdin(call, known && !alone ? STDIN_MS : STDIN_OPTIONAL_MS);
    const char *version = scan(request + env_end, request + call->length).version;
    if (version) call->version = version;
    if (!known)
        return fail(call, INVALID_ENVIRONMENT, "CNI_COMMAND: %.40s: one of ADD, DEL, CHECK, GC, STATUS, VERSION",
                    call->command);
    if (alone) return is(call, "VERSION") ? print_version(call) : print_status(call);
    if (wrong) return fail(call, IO_FAILURE, "network configuration on stdin: %s", wrong);
    if (!is(call, "GC") && take_netns(call)) return 1;
    request[0] = FRAME_VERSION;
    put_u32(request + 1, call->length - HEADER);
    put_u32(request + 5, env_end - HEADER);
    return ask_daemon(call);
}

int main(void) {
    const char *command = getenv("CNI_COMMAND"), *path = getenv("MESHNET_SOCKET");
    struct call call = {
        .command = command ? command : "",
        .socket = path && *path ? path : "/run/meshnet/meshnetd.sock",
        .version = SUPPORTED[VERSIONS - 1],
        .deadline_ms = now_ms() + ANSWER_MS,
        .length = HEADER,
    };
    signal(SIGPIPE, SIG_IGN);
    alarm(LAST_RESORT_S);
    return run(&call);
}
