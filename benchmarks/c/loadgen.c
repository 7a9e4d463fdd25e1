/* A WebSocket subscriber that is never the bottleneck: one thread, epoll, whole frames, a latency histogram.

   loadgen --port P --path /ws/markets --connections N [options]; see `usage` in options.h.

   It prints READY when every handshake is done, in --seconds mode BEGIN when the warm-up is over, and in the
   end one line of JSON. It ends with its standard input. */
#define _GNU_SOURCE
#include "options.h"
#include "stamps.h"
#include "websocket.h"
#include <sys/epoll.h>
#include <sys/resource.h>

#define RECEIVE_BYTES (1 << 18)
#define CARRY_BYTES (1 << 21) /* the longest frame that may arrive in pieces */

#define SYMBOLS 512 /* a power of two */

/* The last id of a symbol. */
struct last {
    char symbol[24];
    long long id;
};

struct connection {
    int fd;
    int stalled;
    int greeted;
    int is_ready;
    long messages;
    long long last_id; /* of any symbol */
    struct last *last; /* by symbol, where --ids asks for it */
    unsigned char *carry;
    size_t carried;
    long *histogram; /* of the first stamp, where --each asks for it */
};

static unsigned char buffer[CARRY_BYTES + RECEIVE_BYTES];
static long total, bytes, reads_, breaks, closed, ready;
static uint64_t first_ns, last_ns;

static struct last *last_of(struct connection *connection, const struct frame *frame) {
    char symbol[24] = "";
    uint32_t hash = 0;
    const char *at = memmem(frame->payload, frame->length, "\"symbol\":\"", 10);
    for (size_t i = 0; at && at[10 + i] != '"' && i < sizeof symbol - 1; i++)
        hash = hash * 31 + (unsigned char)(symbol[i] = at[10 + i]);
    if (!connection->last)
        connection->last = calloc(SYMBOLS, sizeof *connection->last);
    struct last *last = NULL;
    for (int probe = 0; probe < SYMBOLS; probe++) {
        last = &connection->last[(hash + probe) % SYMBOLS];
        if (!last->symbol[0] || strcmp(last->symbol, symbol) == 0)
            break;
    }
    memcpy(last->symbol, symbol, sizeof symbol);
    return last;
}

static void check_id(struct connection *connection, const struct frame *frame) {
    char *at = memmem(frame->payload, frame->length, "\"id\":", 5);
    if (!at)
        return;
    long long id = strtoll(at + 5, NULL, 10);
    struct last *last = last_of(connection, frame);
    if (last->id && id != last->id + 1)
        breaks++;
    last->id = connection->last_id = id;
}

static void send_frame(struct connection *connection, int opcode, const void *payload, size_t length) {
    unsigned char out[16384];
    if (length > sizeof out - 16)
        return;
    size_t header = put_header(out, opcode, length, 1);
    memcpy(out + header, payload, length);
    if (write(connection->fd, out, header + length) < 0)
        return; /* the next read reports it */
}

static int begins(const struct frame *frame, const char *text) {
    size_t length = strlen(text);
    return frame->length >= length && memcmp(frame->payload, text, length) == 0;
}

static void take_frame(struct connection *connection, const struct frame *frame, uint64_t now_ns) {
    if (frame->opcode == OPCODE_PING)
        send_frame(connection, OPCODE_PONG, frame->payload, frame->length);
    if (frame->opcode != OPCODE_TEXT && frame->opcode != OPCODE_BINARY)
        return;
    if (options.then && !connection->greeted) {
        connection->greeted = 1;
        send_frame(connection, OPCODE_TEXT, options.then, strlen(options.then));
    }
    if (options.awaited && !connection->is_ready && begins(frame, options.awaited)) {
        connection->is_ready = 1;
        ready++;
    }
    if (options.match && !frame->compressed && !begins(frame, options.match))
        return;
    last_ns = monotonic_ns();
    if (!first_ns)
        first_ns = last_ns;
    total++;
    connection->messages++;
    if (stamp_count && (unsigned long)total % options.sample == 0)
        read_stamps(frame, now_ns, connection->histogram);
    if (options.check_ids)
        check_id(connection, frame);
}

/* Returns 0 when the connection has ended. */
static int take(struct connection *connection) {
    memcpy(buffer, connection->carry, connection->carried);
    ssize_t got = recv(connection->fd, buffer + connection->carried, RECEIVE_BYTES, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    uint64_t now_ns = epoch_ns();
    reads_++;
    bytes += got;
    unsigned char *at = buffer, *end = buffer + connection->carried + got;
    struct frame frame;
    while (at < end && get_frame(at, (size_t)(end - at), &frame)) {
        take_frame(connection, &frame, now_ns);
        at += frame.size;
    }
    connection->carried = (size_t)(end - at);
    if (connection->carried > CARRY_BYTES) {
        fprintf(stderr, "a frame is too long\n");
        exit(1);
    }
    if (connection->carried) {
        connection->carry = realloc(connection->carry, connection->carried);
        memcpy(connection->carry, at, connection->carried);
    }
    return 1;
}

static void handshake(struct connection *connection) {
    char request[1024], origin[256] = "";
    if (options.origin)
        snprintf(origin, sizeof origin, "Origin: %s\r\n", options.origin);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
                          options.path, options.port, origin,
                          options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    if (write(connection->fd, request, (size_t)length) != length)
        die("write");
    char answer[8192];
    size_t got = 0;
    /* Byte by byte: what follows the header belongs to the frames. */
    while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0) {
        if (got == sizeof answer || recv(connection->fd, answer + got, 1, 0) != 1) {
            fprintf(stderr, "the server ended the handshake: %.*s\n", (int)got, answer);
            exit(1);
        }
        got++;
    }
    if (got < 12 || memcmp(answer + 9, "101", 3) != 0) {
        fprintf(stderr, "the server refused the handshake: %.*s\n", (int)got, answer);
        exit(1);
    }
    if (options.hello)
        send_frame(connection, OPCODE_TEXT, options.hello, strlen(options.hello));
}

static void open_connection(struct connection *connection, int epoll) {
    struct sockaddr_in address = loopback(options.port);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->stalled)
        set_option(connection->fd, SOL_SOCKET, SO_RCVBUF, 65536);
    for (int attempt = 0; connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0; attempt++) {
        if (attempt == 100)
            die("connect");
        usleep(20000);
    }
    set_option(connection->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    handshake(connection);
    set_nonblocking(connection->fd);
    struct epoll_event event = {.events = connection->stalled ? 0 : EPOLLIN, .data.ptr = connection};
    if (!connection->stalled && epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        die("epoll_ctl");
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void forget(struct connection *connections) {
    total = bytes = reads_ = 0;
    first_ns = last_ns = 0;
    forget_stamps();
    for (int i = 0; i < options.connections; i++) {
        connections[i].messages = 0;
        if (connections[i].histogram)
            memset(connections[i].histogram, 0, BUCKETS * sizeof(long));
    }
}

static void print_result(const struct connection *connections, double wall_seconds, double cpu) {
    long least = -1, most = 0;
    long long oldest = -1, newest = -1; /* of the last ids */
    for (int i = options.stalled; i < options.connections; i++) {
        long long id = connections[i].last_id;
        oldest = oldest < 0 || id < oldest ? id : oldest;
        newest = id > newest ? id : newest;
        least = least < 0 || connections[i].messages < least ? connections[i].messages : least;
        most = connections[i].messages > most ? connections[i].messages : most;
    }
    double worst = -1;
    for (int i = options.stalled; options.each && i < options.connections; i++) {
        long *histogram = connections[i].histogram, count = 0;
        for (int bucket = 0; bucket < BUCKETS; bucket++)
            count += histogram[bucket];
        double p99 = count ? percentile(histogram, count, .99) : -1;
        worst = p99 > worst ? p99 : worst;
    }
    printf("{\"messages\":%ld,\"closed\":%ld,\"bytes\":%ld,\"reads\":%ld,\"breaks\":%ld,\"behind\":%lld,\"least\":%ld,\"most\":%ld,"
           "\"wall_seconds\":%.6f,\"cpu_seconds\":%.6f,\"worst_p99_us\":%.0f,\"latency_us\":{",
           total, closed, bytes, reads_, breaks, newest - oldest, least, most, wall_seconds, cpu, worst);
    print_stamps();
    printf("}}\n");
    fflush(stdout);
}

/* Takes what is there, for 100 ms at most. Returns 0 when the standard input has ended. */
static int turn(int epoll) {
    struct epoll_event events[256];
    int count = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        char ignored;
        if (!connection) {
            if (read(0, &ignored, 1) <= 0)
                return 0;
        } else if (!take(connection)) {
            epoll_ctl(epoll, EPOLL_CTL_DEL, connection->fd, NULL);
            close(connection->fd);
            closed++;
        }
    }
    return 1;
}

/* Counts until everything is there, or for the given time. Returns 0 when the standard input has ended. */
static int measure(struct connection *connections, int epoll) {
    long readers = options.connections - options.stalled, wanted = options.messages * readers, seen = 0;
    uint64_t quiet_since = monotonic_ns(), began = 0, now = quiet_since;
    double cpu = cpu_seconds();
    while (closed < readers && !(wanted && total >= wanted) && now - quiet_since < (uint64_t)(options.timeout * 1e9)) {
        if (!turn(epoll))
            return 0;
        now = monotonic_ns();
        if (total != seen)
            quiet_since = now;
        seen = total;
        if (options.seconds <= 0)
            continue;
        if (began && (double)(now - began) >= options.seconds * 1e9)
            break;
        if (!began && first_ns && (double)(now - first_ns) >= options.warmup * 1e9) {
            forget(connections);
            seen = 0;
            began = now;
            cpu = cpu_seconds();
            printf("BEGIN\n");
            fflush(stdout);
        }
    }
    print_result(connections, (double)(began ? now - began : last_ns - first_ns) / 1e9, cpu_seconds() - cpu);
    return 1;
}

int main(int count, char **words) {
    read_options(count, words);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc((size_t)options.connections, sizeof *connections);
    for (int i = 0; i < options.connections; i++) {
        connections[i].stalled = i < options.stalled;
        connections[i].histogram = options.each ? calloc(BUCKETS, sizeof(long)) : NULL;
        open_connection(&connections[i], epoll);
    }
    struct epoll_event input = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input) < 0)
        die("standard input");
    while (options.awaited && ready + closed < options.connections - options.stalled)
        if (!turn(epoll))
            return 0;
    printf("READY\n");
    fflush(stdout);
    if ((options.messages || options.seconds > 0) && !measure(connections, epoll))
        return 0;
    while (turn(epoll))
        ;
    return 0;
}
