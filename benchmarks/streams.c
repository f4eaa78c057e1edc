/*
 * streams: many TCP streams at once, from one process to another.
 *
 *   streams receive PORT COUNT MILLISECONDS   prints for each: its receiving address, bytes that came in that time
 *   streams send PORT MILLISECONDS ADDRESS... sends to all for so long, and until the receiver is done
 *
 * The receiver says "ready" first; its time begins when all have connected and half a second has passed. Both serve
 * whichever stream is ready, a piece at a time, so that none is preferred here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 << 10, MOST = 1024, PATIENCE_MS = 20000, WARM_MS = 500 };

static char piece[PIECE];
static int sockets[MOST];
static int64_t bytes[MOST];

static int die(const char *what) {
    perror(what);
    return 1;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int watch(int poller, int number, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u32 = number};
    return epoll_ctl(poller, EPOLL_CTL_ADD, sockets[number], &event);
}

/* Moves a piece of every stream that is ready, until `end`. */
static int move(int poller, int64_t end, int sends) {
    struct epoll_event ready[64];
    for (int64_t left; (left = end - now()) > 0;) {
        int count = epoll_wait(poller, ready, 64, (int)left);
        if (count < 0 && errno != EINTR)
            return die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int number = ready[i].data.u32;
            ssize_t moved = sends ? send(sockets[number], piece, PIECE, MSG_DONTWAIT)
                                  : recv(sockets[number], piece, PIECE, MSG_DONTWAIT);
            if (moved > 0)
                bytes[number] += moved;
            else if (moved == 0 || errno != EAGAIN)
                epoll_ctl(poller, EPOLL_CTL_DEL, sockets[number], NULL); /* the other side is done */
        }
    }
    return 0;
}

static int receiver(char **arguments) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[0]))};
    int count = atoi(arguments[1]), yes = 1, poller = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (count > MOST || bind(listener, (struct sockaddr *)&where, sizeof where) || listen(listener, MOST))
        return die("listen");
    puts("ready");
    fflush(stdout);
    alarm(PATIENCE_MS / 1000);
    for (int i = 0; i < count; i++)
        if ((sockets[i] = accept(listener, NULL, NULL)) < 0 || watch(poller, i, EPOLLIN))
            return die("accept");
    alarm(0);
    if (move(poller, now() + WARM_MS, 0))
        return 1;
    memset(bytes, 0, sizeof bytes);
    if (move(poller, now() + atoll(arguments[2]), 0))
        return 1;
    for (int i = 0; i < count; i++) {
        struct sockaddr_in own;
        socklen_t size = sizeof own;
        getsockname(sockets[i], (struct sockaddr *)&own, &size);
        printf("%s %lld\n", inet_ntoa(own.sin_addr), (long long)bytes[i]);
    }
    return 0;
}

static int sender(int count, char **arguments) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[0]))};
    int poller = epoll_create1(0);
    signal(SIGPIPE, SIG_IGN);
    alarm((PATIENCE_MS + WARM_MS + atoi(arguments[1])) / 1000 + 1);
    for (int i = 0; i < count; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (inet_pton(AF_INET, arguments[2 + i], &where.sin_addr) != 1 ||
            connect(sockets[i], (struct sockaddr *)&where, sizeof where) || watch(poller, i, EPOLLOUT))
            return die(arguments[2 + i]);
    }
    return move(poller, now() + 2 * WARM_MS + atoll(arguments[1]), 1);
}

int main(int count, char **arguments) {
    if (count == 5 && !strcmp(arguments[1], "receive"))
        return receiver(arguments + 2);
    if (count > 4 && count - 4 <= MOST && !strcmp(arguments[1], "send"))
        return sender(count - 4, arguments + 2);
    fputs("see the top of streams.c\n", stderr);
    return 2;
}
