/* Trade streams of Binance's spot market: their names, their ids, their frames. */
#ifndef BENCHMARK_STREAMS_H
#define BENCHMARK_STREAMS_H

#include "websocket.h"

#define MAX_STREAMS 1024
#define TRADE_BYTES 320

struct stream {
    char name[40]; /* btcusdt@trade */
    char symbol[32];
    long id;
};

static struct stream streams[MAX_STREAMS];
static int stream_count;

static struct stream *stream_of(const char *name, size_t length) {
    for (int i = 0; i < stream_count; i++)
        if (strlen(streams[i].name) == length && memcmp(streams[i].name, name, length) == 0)
            return &streams[i];
    const char *at = memchr(name, '@', length);
    if (stream_count == MAX_STREAMS || length >= sizeof streams->name || !at || length - (size_t)(at - name) != 6)
        return NULL;
    struct stream *stream = &streams[stream_count++];
    memcpy(stream->name, name, length);
    for (const char *c = name; c < at; c++)
        stream->symbol[c - name] = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    stream->id = 1000000;
    return stream;
}

/* Writes one trade's frame; its size says when it was due. */
static size_t put_trade_of(struct stream *stream, unsigned char *out, uint64_t due_ns, int is_combined) {
    long id = stream->id++;
    uint64_t ms = due_ns / 1000000, us = due_ns / 1000 % (STAMP_MODULUS_SECONDS * 1000000);
    char text[TRADE_BYTES];
    char *at = text;
    if (is_combined)
        at += sprintf(at, "{\"stream\":\"%s\",\"data\":", stream->name);
    at += sprintf(at,
                  "{\"e\":\"trade\",\"E\":%llu,\"s\":\"%s\",\"t\":%ld,\"p\":\"%ld.%02ld000000\",\"q\":\"%llu.%06llu\","
                  "\"T\":%llu,\"m\":%s,\"M\":true}%s",
                  (unsigned long long)ms, stream->symbol, id, 61837 + id / 50 % 40, id % 100,
                  (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000), (unsigned long long)ms,
                  id & 1 ? "true" : "false", is_combined ? "}" : "");
    size_t length = (size_t)(at - text), header = put_header(out, OPCODE_TEXT, length, 0);
    memcpy(out + header, text, length);
    return header + length;
}

#endif
