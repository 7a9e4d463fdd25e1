/* What the three programs share: clocks, sockets, and the little of RFC 6455 that a benchmark needs. */
#ifndef BENCHMARK_WEBSOCKET_H
#define BENCHMARK_WEBSOCKET_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull
#define STAMP_MODULUS_SECONDS 100000ull /* stamps are seconds of the epoch, modulo this */

enum { OPCODE_TEXT = 1, OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline uint64_t clock_ns(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

static inline uint64_t monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
static inline uint64_t epoch_ns(void) { return clock_ns(CLOCK_REALTIME); }

static inline void set_option(int socket_fd, int level, int option, int value) {
    if (setsockopt(socket_fd, level, option, &value, sizeof value) < 0)
        die("setsockopt");
}

static inline void set_nonblocking(int fd) {
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        die("fcntl");
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Listens on a loopback port; 0 takes a free one. Prints "LISTEN <port>". */
static inline int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("LISTEN %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

/* Writes a frame's header, masked with zeros when a client sends it; returns its length. */
static inline size_t put_header(unsigned char *out, int opcode, size_t length, int masked) {
    size_t at = 2;
    unsigned char mask = masked ? 0x80 : 0;
    out[0] = (unsigned char)(0x80 | opcode);
    if (length < 126) {
        out[1] = (unsigned char)(mask | length);
    } else if (length < 65536) {
        out[1] = mask | 126;
        out[at++] = (unsigned char)(length >> 8);
        out[at++] = (unsigned char)length;
    } else {
        out[1] = mask | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (unsigned char)((uint64_t)length >> shift);
    }
    if (masked) {
        memset(out + at, 0, 4);
        at += 4;
    }
    return at;
}

struct frame {
    int opcode;
    int compressed;
    int masked;
    unsigned char mask[4];
    unsigned char *payload;
    size_t length; /* of the payload */
    size_t size;   /* of the whole frame */
};

/* Reads one whole frame. Returns 0 while it is incomplete; `frame->size` then says what it needs, if known. */
static inline int get_frame(unsigned char *data, size_t available, struct frame *frame) {
    size_t header = 2;
    frame->size = 0;
    if (available < 2)
        return 0;
    frame->opcode = data[0] & 15;
    frame->compressed = data[0] & 0x40;
    frame->masked = data[1] & 0x80;
    uint64_t length = data[1] & 127;
    size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (available < header + extended)
        return 0;
    if (extended) {
        length = 0;
        for (size_t i = 0; i < extended; i++)
            length = length << 8 | data[header + i];
        header += extended;
    }
    if (frame->masked) {
        if (available < header + 4)
            return 0;
        memcpy(frame->mask, data + header, 4);
        header += 4;
    }
    frame->length = length;
    frame->size = header + length;
    if (available < frame->size)
        return 0;
    frame->payload = data + header;
    if (frame->masked)
        for (size_t i = 0; i < length; i++)
            frame->payload[i] ^= frame->mask[i & 3];
    return 1;
}

#endif
