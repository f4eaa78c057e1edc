/*
 * packets: a load of small UDP datagrams, and the count of those that arrive.
 *
 *   packets receive PORT CPU                          prints: packets, nanoseconds from the first to the last
 *   packets send ADDRESS PORT PAYLOAD MILLISECONDS CPU RATE   prints: packets, nanoseconds
 *
 * Up to 64 datagrams a system call on both sides, so that what is measured is the path between. RATE is packets a
 * second, 0 for as many as go. The receiver says "ready" first, and ends after 300 ms of silence; what does not fit its
 * socket's buffer is not counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { BATCH = 64, LARGEST = 2048, BUFFER = 4 << 20, PAUSE = 50000 };

static int die(const char *what) {
    perror(what);
    return 1;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void pin(const char *cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(cpu), &set);
    sched_setaffinity(0, sizeof set, &set); /* refused: unpinned, then */
}

static char buffers[BATCH][LARGEST];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void prepare(size_t length) {
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers[i], length};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
}

static void report(int64_t packets, int64_t nanoseconds) {
    printf("%lld %lld\n", (long long)packets, (long long)nanoseconds);
}

static int receive_all(int sock) {
    struct timeval first = {.tv_sec = 5}, silence = {.tv_usec = 300000};
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &first, sizeof first);
    int64_t packets = 0, began = 0, ended = 0;
    for (;;) {
        int got = recvmmsg(sock, messages, BATCH, MSG_WAITFORONE, NULL);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        ended = now();
        if (!packets) {
            began = ended;
            setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
        }
        packets += got;
    }
    report(packets, ended - began);
    return packets ? 0 : 1;
}

static int receiver(char **arguments) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[0]))};
    int sock = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;
    if (sock < 0 || bind(sock, (struct sockaddr *)&where, sizeof where))
        return die("bind");
    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    pin(arguments[1]);
    prepare(LARGEST);
    puts("ready");
    fflush(stdout);
    return receive_all(sock);
}

/* How many datagrams are due of those that a rate allows; all, without one. Sleeps a little when none is. */
static int due(int64_t began, int64_t rate, int64_t packets) {
    if (!rate)
        return BATCH;
    int64_t wanted = (now() - began) * rate / 1000000000LL - packets;
    if (wanted > 0)
        return wanted < BATCH ? (int)wanted : BATCH;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
    return 0;
}

static int sender(char **arguments) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock < 0 || inet_pton(AF_INET, arguments[0], &where.sin_addr) != 1)
        return die(arguments[0]);
    if (connect(sock, (struct sockaddr *)&where, sizeof where))
        return die("connect");
    pin(arguments[4]);
    prepare((size_t)atoi(arguments[2]) % LARGEST);
    prctl(PR_SET_TIMERSLACK, 1000);
    int64_t packets = 0, rate = atoll(arguments[5]), began = now(), end = began + atoll(arguments[3]) * 1000000LL;
    while (now() < end) {
        int count = due(began, rate, packets);
        if (!count)
            continue;
        int sent = sendmmsg(sock, messages, count, 0);
        if (sent < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
            return die("sendmmsg");
        packets += sent > 0 ? sent : 0;
    }
    report(packets, now() - began);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 4 && !strcmp(arguments[1], "receive"))
        return receiver(arguments + 2);
    if (count == 8 && !strcmp(arguments[1], "send"))
        return sender(arguments + 2);
    fputs("see the top of packets.c\n", stderr);
    return 2;
}
