/*
 * firstping: what a pod of bench_cluster does: it pings the other end of each link until that has answered once.
 *
 *   firstping INTERFACE=ADDRESS...      prints, a line each: INTERFACE, seconds of CLOCK_MONOTONIC at the first answer
 *
 * An interface that is not there when it starts is left alone: the pod runs without links. Then it just stays.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 128, EVERY_MS = 100 };

static struct pollfd sockets[MOST];
static const char *names[MOST];

static void leave(int signal) { _exit(signal == SIGTERM ? 0 : 1); }

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int open_link(char *argument, int place) {
    char *address = strchr(argument, '=');
    struct sockaddr_in peer = {.sin_family = AF_INET};
    if (!address) return -1;
    *address++ = 0;
    int sock = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
    inet_pton(AF_INET, address, &peer.sin_addr);
    names[place] = argument;
    if (setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, argument, (socklen_t)strlen(argument) + 1)) return -1;
    return connect(sock, (struct sockaddr *)&peer, sizeof peer) ? -1 : sock;
}

static void ask(int place, uint16_t sequence) {
    struct icmphdr request = {.type = ICMP_ECHO, .un.echo = {.id = (uint16_t)place, .sequence = sequence}};
    uint32_t sum = request.type + request.un.echo.id + request.un.echo.sequence;
    request.checksum = (uint16_t)~((sum & 0xffff) + (sum >> 16));
    (void)!send(sockets[place].fd, &request, sizeof request, 0); /* no carrier yet: it is asked again */
}

static int answered(int place) {
    unsigned char packet[256];
    ssize_t length;
    while ((length = recv(sockets[place].fd, packet, sizeof packet, 0)) > 0) {
        size_t header = (size_t)(packet[0] & 15) * 4;
        if ((size_t)length >= header + sizeof(struct icmphdr) && packet[header] == ICMP_ECHOREPLY) return 1;
    }
    return 0;
}

static void tell(int place) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%s %lld.%03ld\n", names[place], (long long)now.tv_sec, now.tv_nsec / 1000000);
    fflush(stdout);
    close(sockets[place].fd);
    sockets[place].fd = -1;
}

int main(int argc, char **argv) {
    int waiting = 0, places = argc - 1 < MOST ? argc - 1 : MOST;
    signal(SIGTERM, leave);
    for (int i = 0; i < places; i++) {
        sockets[i] = (struct pollfd){.fd = open_link(argv[i + 1], i), .events = POLLIN};
        waiting += sockets[i].fd >= 0;
    }
    int64_t next = now_ms();
    for (uint16_t sequence = 1; waiting; sequence++, next += EVERY_MS) {
        for (int i = 0; i < places; i++)
            if (sockets[i].fd >= 0) ask(i, sequence);
        for (int64_t left; waiting && (left = next + EVERY_MS - now_ms()) > 0;) {
            if (poll(sockets, (nfds_t)places, (int)left) <= 0) break;
            for (int i = 0; i < places; i++)
                if (sockets[i].fd >= 0 && sockets[i].revents && answered(i)) tell(i), waiting--;
        }
    }
    for (;;) pause();
}
