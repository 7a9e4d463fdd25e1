/* An exchange that is never the bottleneck: Binance's combined trade streams, as fast or as evenly as wanted.

   venue --rate R       trades a second on every connection; 0 (default): as fast as the client takes them
         --trades M     on every connection, then silence; 0 (default): without end
         --quantum-us Q trades that fall into the same Q µs are written together; default 1000
         --wait         trade only when a line has come on standard input
         --info FILE    what GET /api/v3/exchangeInfo answers; without it 404
         --port P

   The size of every trade says when it was due (epoch seconds modulo 100000), so that a reader at the end of
   the pipeline can tell how old it is to the microsecond. It ends with its standard input. */
#define _GNU_SOURCE
#include "handshake.h"
#include "streams.h"
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#define MAX_CONNECTIONS 64
#define INPUT_BYTES 262144
#define CHUNK_TRADES 256

struct connection {
    int fd;
    int is_open;
    int is_combined;
    struct stream *streams[MAX_STREAMS];
    int stream_count, turn;
    long sent;
    uint64_t began_ns, due_ns; /* epoch */
    size_t taken;
    size_t waiting, written; /* bytes of `out` */
    unsigned char in[INPUT_BYTES];
    unsigned char out[CHUNK_TRADES * TRADE_BYTES];
};

static struct connection *connections[MAX_CONNECTIONS];
static double rate;
static long trades;
static uint64_t quantum_ns = 1000000;
static int is_waiting;
static char *info;

static void want(struct connection *connection, struct stream *stream, int is_wanted) {
    int at = 0;
    while (at < connection->stream_count && connection->streams[at] != stream)
        at++;
    if (is_wanted && at == connection->stream_count && at < MAX_STREAMS) {
        connection->streams[connection->stream_count++] = stream;
    } else if (!is_wanted && at < connection->stream_count) {
        connection->streams[at] = connection->streams[--connection->stream_count];
    }
}

static int is_of_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Every name like btcusdt@trade in a text, be it a path or a control message. */
static void want_named(struct connection *connection, const char *text, int is_wanted) {
    for (const char *at = text; (at = strchr(at, '@')) != NULL; at++) {
        const char *start = at, *end = at + 1;
        while (start > text && is_of_name(start[-1]))
            start--;
        while (is_of_name(*end))
            end++;
        struct stream *stream = stream_of(start, (size_t)(end - start));
        if (stream)
            want(connection, stream, is_wanted);
    }
}

static size_t put_trade(struct connection *connection, unsigned char *out, uint64_t due_ns) {
    struct stream *stream = connection->streams[connection->turn++ % connection->stream_count];
    return put_trade_of(stream, out, due_ns, connection->is_combined);
}

/* Sends what is waiting; returns 0 when the connection is gone. */
static int drain(struct connection *connection) {
    while (connection->written < connection->waiting) {
        ssize_t sent = send(connection->fd, connection->out + connection->written,
                            connection->waiting - connection->written, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        connection->written += (size_t)sent;
    }
    connection->waiting = connection->written = 0;
    return 1;
}

static int is_trading(const struct connection *connection) {
    return connection->is_open && connection->stream_count && !is_waiting && (!trades || connection->sent < trades);
}

/* Writes what is due; returns 0 when the connection is gone. */
static int trade(struct connection *connection, uint64_t now_ns) {
    if (!drain(connection))
        return 0;
    if (!connection->due_ns && is_trading(connection))
        connection->began_ns = connection->due_ns = now_ns;
    while (!connection->waiting && is_trading(connection) && (rate <= 0 || connection->due_ns <= now_ns)) {
        long count = CHUNK_TRADES;
        uint64_t due_ns = rate > 0 ? connection->due_ns : now_ns;
        if (rate > 0) {
            long until_due = (long)((double)(due_ns - connection->began_ns) / 1e9 * rate) + 1 - connection->sent;
            count = until_due < 1 ? 1 : until_due < count ? until_due : count;
        }
        if (trades && trades - connection->sent < count)
            count = trades - connection->sent;
        for (long i = 0; i < count; i++)
            connection->waiting += put_trade(connection, connection->out + connection->waiting, due_ns);
        connection->sent += count;
        if (rate > 0 && (double)connection->sent > (double)(due_ns - connection->began_ns) / 1e9 * rate) {
            uint64_t next = connection->began_ns + (uint64_t)((double)connection->sent / rate * 1e9);
            uint64_t end_of_quantum = due_ns + quantum_ns;
            connection->due_ns = next > end_of_quantum ? next : end_of_quantum;
        }
        if (!drain(connection))
            return 0;
    }
    return 1;
}

static void send_frame(struct connection *connection, int opcode, const void *payload, size_t length) {
    unsigned char out[1024];
    if (length > 1000)
        return;
    size_t header = put_header(out, opcode, length, 0);
    memcpy(out + header, payload, length);
    /* Behind what is half written; there is room, for control messages are rare and small. */
    if (connection->waiting + header + length <= sizeof connection->out) {
        memcpy(connection->out + connection->waiting, out, header + length);
        connection->waiting += header + length;
    }
}

static void take_control(struct connection *connection, struct frame *frame) {
    char text[65536], reply[96];
    if (frame->opcode == OPCODE_PING)
        send_frame(connection, OPCODE_PONG, frame->payload, frame->length);
    if (frame->opcode == OPCODE_CLOSE)
        send_frame(connection, OPCODE_CLOSE, frame->payload, frame->length);
    if (frame->opcode != OPCODE_TEXT && frame->opcode != OPCODE_BINARY)
        return;
    size_t length = frame->length < sizeof text ? frame->length : sizeof text - 1;
    memcpy(text, frame->payload, length);
    text[length] = 0;
    const char *id = strstr(text, "\"id\":");
    long number = id ? strtol(id + 5 + strspn(id + 5, " \""), NULL, 10) : 0;
    int size = snprintf(reply, sizeof reply, "{\"result\":null,\"id\":%ld}", number);
    send_frame(connection, OPCODE_TEXT, reply, (size_t)size);
    want_named(connection, text, strstr(text, "UNSUBSCRIBE") == NULL);
}

static void answer_rest(struct connection *connection, const char *request) {
    const char *body = info && strstr(request, "/api/v3/exchangeInfo") ? info : NULL;
    char head[160];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                          body ? "200 OK" : "404 Not Found", body ? strlen(body) : 0);
    if (send(connection->fd, head, (size_t)length, MSG_NOSIGNAL) == length && body)
        for (size_t at = 0, size = strlen(body); at < size;) {
            ssize_t sent = send(connection->fd, body + at, size - at, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN)
                return;
            at += sent > 0 ? (size_t)sent : 0;
        }
}

/* Takes what the client says; returns 0 when the connection is to be closed. */
static int take(struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->in + connection->taken, INPUT_BYTES - 1 - connection->taken, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    connection->taken += (size_t)got;
    connection->in[connection->taken] = 0;
    if (!connection->is_open) {
        char *end = strstr((char *)connection->in, "\r\n\r\n");
        if (!end)
            return 1;
        if (!answer_handshake(connection->fd, (char *)connection->in)) {
            answer_rest(connection, (char *)connection->in);
            return 0;
        }
        connection->is_open = 1;
        char *line = strstr((char *)connection->in, "\r\n");
        *line = 0;
        connection->is_combined = strstr((char *)connection->in, "/stream") != NULL;
        want_named(connection, (char *)connection->in, 1);
        size_t head = (size_t)(end + 4 - (char *)connection->in);
        memmove(connection->in, end + 4, connection->taken -= head);
    }
    struct frame frame;
    while (get_frame(connection->in, connection->taken, &frame)) {
        take_control(connection, &frame);
        if (frame.opcode == OPCODE_CLOSE) {
            drain(connection);
            return 0;
        }
        memmove(connection->in, connection->in + frame.size, connection->taken -= frame.size);
    }
    return drain(connection);
}

static void take_connection(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), at = 0;
    while (at < MAX_CONNECTIONS && connections[at])
        at++;
    if (fd < 0 || at == MAX_CONNECTIONS) {
        close(fd);
        return;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    connections[at] = calloc(1, sizeof **connections);
    connections[at]->fd = fd;
}

static void end_connection(int at) {
    close(connections[at]->fd);
    free(connections[at]);
    connections[at] = NULL;
}

static char *read_all(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    if (fread(text, 1, (size_t)size, file) != (size_t)size)
        die(path);
    fclose(file);
    return text;
}

static void serve(int listener) {
    for (;;) {
        struct pollfd sources[MAX_CONNECTIONS + 2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
        int places[MAX_CONNECTIONS + 2], count = 2;
        uint64_t now_ns = epoch_ns(), due_ns = now_ns + NS_PER_SECOND;
        char ignored[64];
        for (int i = 0; i < MAX_CONNECTIONS; i++) {
            if (!connections[i])
                continue;
            int trading = is_trading(connections[i]), full = connections[i]->waiting > 0;
            sources[count].fd = connections[i]->fd;
            sources[count].events = (short)(POLLIN | (full || (trading && rate <= 0) ? POLLOUT : 0));
            places[count++] = i;
            if (trading && rate > 0 && !full && connections[i]->due_ns < due_ns)
                due_ns = connections[i]->due_ns;
        }
        uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SECOND), .tv_nsec = (long)(wait_ns % NS_PER_SECOND)};
        if (ppoll(sources, (nfds_t)count, &wait, NULL) < 0)
            die("ppoll");
        if (sources[0].revents) {
            if (read(0, ignored, sizeof ignored) <= 0)
                return;
            is_waiting = 0;
        }
        if (sources[1].revents)
            take_connection(listener);
        for (int i = 2; i < count; i++) {
            if ((sources[i].revents & (POLLIN | POLLHUP | POLLERR) && !take(connections[places[i]])) ||
                !trade(connections[places[i]], epoch_ns()))
                end_connection(places[i]);
        }
    }
}

int main(int count, char **words) {
    static const struct option known[] = {{"rate", 1, 0, 'r'},   {"trades", 1, 0, 't'}, {"quantum-us", 1, 0, 'q'},
                                          {"wait", 0, 0, 'w'},
                                          {"info", 1, 0, 'i'},   {"port", 1, 0, 'p'},   {0, 0, 0, 0}};
    int port = 0;
    for (int word; (word = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (word) {
        case 'r': rate = atof(optarg); break;
        case 't': trades = atol(optarg); break;
        case 'q': quantum_ns = (uint64_t)(atof(optarg) * 1000); break;
        case 'w': is_waiting = 1; break;
        case 'i': info = read_all(optarg); break;
        case 'p': port = atoi(optarg); break;
        default: return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000);
    serve(listen_on(port));
    return 0;
}
