/* Trade streams of Binance's spot market: their names, their ids, their frames. */
#ifndef BENCHMARK_STREAMS_H
#define BENCHMARK_STREAMS_H

#include "websocket.h"

#define MAX_STREAMS 1024
#define TRADE_BYTES 320

struct stream {
    char name[40]; /* btcusdt@trade, btcusdt@aggTrade */
    char symbol[32];
    int is_aggregate;
    long id;
};

static struct stream streams[MAX_STREAMS];
static int stream_count;

static struct stream *stream_of(const char *name, size_t length) {
    for (int i = 0; i < stream_count; i++)
        if (strlen(streams[i].name) == length && memcmp(streams[i].name, name, length) == 0)
            return &streams[i];
    const char *at = memchr(name, '@', length);
    size_t kind = at ? length - (size_t)(at - name) : 0;
    int is_aggregate = kind == 9 && memcmp(at, "@aggTrade", 9) == 0;
    int is_trade = kind == 6 && memcmp(at, "@trade", 6) == 0;
    if (stream_count == MAX_STREAMS || length >= sizeof streams->name || !(is_trade || is_aggregate))
        return NULL;
    struct stream *stream = &streams[stream_count++];
    stream->is_aggregate = is_aggregate;
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
    if (stream->is_aggregate)
        at += sprintf(at, "{\"e\":\"aggTrade\",\"E\":%llu,\"s\":\"%s\",\"a\":%ld,", (unsigned long long)ms, stream->symbol,
                      id);
    else
        at += sprintf(at, "{\"e\":\"trade\",\"E\":%llu,\"s\":\"%s\",\"t\":%ld,", (unsigned long long)ms, stream->symbol, id);
    at += sprintf(at, "\"p\":\"%ld.%02ld000000\",\"q\":\"%llu.%06llu\",", 61837 + id / 50 % 40, id % 100,
                  (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
    if (stream->is_aggregate)
        at += sprintf(at, "\"f\":%ld,\"l\":%ld,", id, id);
    at += sprintf(at, "\"T\":%llu,\"m\":%s,\"M\":true}%s", (unsigned long long)ms, id & 1 ? "true" : "false",
                  is_combined ? "}" : "");
    size_t length = (size_t)(at - text), header = put_header(out, OPCODE_TEXT, length, 0);
    memcpy(out + header, text, length);
    return header + length;
}

#endif
