/* The floor of a fan-out: one send(2) per delivery, and nothing else.

   fanout_floor PORT prints "LISTEN <port>" and takes connections; every line "<ticks> <burst>" on its standard
   input has it send that many trades to everybody who is connected, <burst> in one write. */
#define _GNU_SOURCE
#include "handshake.h"
#include <poll.h>
#include <signal.h>

#define MAX_CLIENTS 8192

static int clients[MAX_CLIENTS];
static int client_count;
static long next_id = 1000000;

static void take_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char request[8192];
    size_t got = 0;
    if (fd < 0 || client_count == MAX_CLIENTS)
        return;
    while (got < 4 || memcmp(request + got - 4, "\r\n\r\n", 4) != 0) {
        if (got == sizeof request - 1 || recv(fd, request + got, 1, 0) != 1) {
            close(fd);
            return;
        }
        got++;
    }
    request[got] = 0;
    if (!answer_handshake(fd, request)) {
        close(fd);
        return;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_nonblocking(fd);
    clients[client_count++] = fd;
}

/* Forgets the clients that have closed; what they said before is of no interest. */
static void drop_gone(void) {
    int kept = 0;
    char ignored[4096];
    for (int i = 0; i < client_count; i++) {
        ssize_t got;
        while ((got = recv(clients[i], ignored, sizeof ignored, 0)) > 0)
            ;
        if (got < 0 && errno == EAGAIN)
            clients[kept++] = clients[i];
        else
            close(clients[i]);
    }
    client_count = kept;
}

static size_t put_trade(unsigned char *out) {
    char text[512];
    uint64_t now_ms = epoch_ns() / 1000000;
    int length = snprintf(text, sizeof text,
                          "{\"type\":\"trade\",\"exchange\":\"binance\",\"symbol\":\"BTCUSDT\",\"price\":61837.63000000,"
                          "\"size\":0.02000000,\"side\":\"sell\",\"ts\":%llu,\"id\":%ld,\"recv_ts\":%llu}",
                          (unsigned long long)now_ms, next_id++, (unsigned long long)now_ms);
    size_t header = put_header(out, OPCODE_TEXT, (size_t)length, 0);
    memcpy(out + header, text, (size_t)length);
    return header + (size_t)length;
}

static void send_all(int fd, const unsigned char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, 100);
        } else if (sent < 0) {
            return;
        } else {
            data += sent;
            size -= (size_t)sent;
        }
    }
}

static void publish(long ticks, long burst) {
    static unsigned char frames[64 * 512];
    for (long sent = 0; sent < ticks; sent += burst) {
        size_t size = 0;
        for (long i = 0; i < burst && i < 64; i++)
            size += put_trade(frames + size);
        for (int i = 0; i < client_count; i++)
            send_all(clients[i], frames, size);
    }
}

int main(int count, char **words) {
    int listener = listen_on(count > 1 ? atoi(words[1]) : 0);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd sources[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
        char line[128] = {0};
        long ticks, burst;
        if (poll(sources, 2, 1000) < 0)
            die("poll");
        if (sources[1].revents)
            take_client(listener);
        if (sources[0].revents) {
            if (read(0, line, sizeof line - 1) <= 0)
                return 0;
            if (sscanf(line, "%ld %ld", &ticks, &burst) == 2 && burst > 0) {
                drop_gone();
                publish(ticks, burst);
            }
        }
    }
}
