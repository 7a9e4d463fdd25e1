/* Times inside of messages, and histograms of how long ago they were. */
#ifndef BENCHMARK_STAMPS_H
#define BENCHMARK_STAMPS_H

#include "websocket.h"

#define MAX_STAMPS 4
#define SUB_BUCKETS 64 /* per power of two: 3 % resolution at worst */
#define BUCKETS (40 * SUB_BUCKETS)

struct stamp {
    char key[32];
    size_t key_length;
    int is_seconds;
    long count;
    double max_us;
    long buckets[BUCKETS];
};

static struct stamp stamps[MAX_STAMPS];
static int stamp_count;

static void add_stamp(const char *text) {
    const char *colon = strrchr(text, ':');
    if (stamp_count == MAX_STAMPS || !colon || colon - text > 28) {
        fprintf(stderr, "no such stamp: %s\n", text);
        exit(2);
    }
    struct stamp *stamp = &stamps[stamp_count++];
    stamp->key_length = (size_t)snprintf(stamp->key, sizeof stamp->key, "\"%.*s\":", (int)(colon - text), text);
    stamp->is_seconds = strcmp(colon, ":s") == 0;
}

static int bucket_of(uint64_t us) {
    if (us < SUB_BUCKETS)
        return (int)us;
    int power = 63 - __builtin_clzll(us) - 5; /* us >> power lies in [32, 64) */
    int bucket = power * (SUB_BUCKETS / 2) + (int)(us >> power);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double value_of(int bucket) {
    if (bucket < SUB_BUCKETS)
        return bucket;
    int power = bucket / (SUB_BUCKETS / 2) - 1;
    return (double)((uint64_t)(bucket - power * (SUB_BUCKETS / 2)) << power);
}

/* `own` is the histogram of one connection, for the first stamp, where that is wanted. */
static void record(struct stamp *stamp, double us, long *own) {
    if (us < 0)
        us = 0;
    stamp->count++;
    stamp->buckets[bucket_of((uint64_t)us)]++;
    if (own)
        own[bucket_of((uint64_t)us)]++;
    if (us > stamp->max_us)
        stamp->max_us = us;
}

static double percentile(const long *buckets, long count, double part) {
    long rank = (long)(part * (double)(count - 1)), seen = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        seen += buckets[bucket];
        if (seen > rank)
            return value_of(bucket);
    }
    return -1;
}

static void read_stamps(const struct frame *frame, uint64_t now_ns, long *own) {
    for (int i = 0; i < stamp_count; i++) {
        struct stamp *stamp = &stamps[i];
        char *at = memmem(frame->payload, frame->length, stamp->key, stamp->key_length);
        if (!at)
            continue;
        char text[32] = {0};
        size_t rest = frame->length - (size_t)(at + stamp->key_length - (char *)frame->payload);
        memcpy(text, at + stamp->key_length, rest < 31 ? rest : 31);
        char *digits = text + (text[0] == '"');
        if (stamp->is_seconds) {
            double now = (double)(now_ns % (STAMP_MODULUS_SECONDS * NS_PER_SECOND)) / 1e9;
            record(stamp, (now - strtod(digits, NULL)) * 1e6, i ? NULL : own);
        } else {
            record(stamp, ((double)now_ns / 1e6 - (double)strtoll(digits, NULL, 10)) * 1e3, i ? NULL : own);
        }
    }
}

static void forget_stamps(void) {
    for (int i = 0; i < stamp_count; i++) {
        stamps[i].count = 0;
        stamps[i].max_us = 0;
        memset(stamps[i].buckets, 0, sizeof stamps[i].buckets);
    }
}

/* The members of a JSON object. */
static void print_stamps(void) {
    for (int i = 0; i < stamp_count; i++) {
        struct stamp *stamp = &stamps[i];
        char name[32] = {0};
        size_t named = 0;
        for (char *c = stamp->key; *c; c++)
            if ((*c >= 'a' && *c <= 'z') || *c == '_')
                name[named++] = *c;
        printf("%s\"%s\":{\"count\":%ld,\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f}", i ? "," : "",
               name, stamp->count, percentile(stamp->buckets, stamp->count, .5),
               percentile(stamp->buckets, stamp->count, .9), percentile(stamp->buckets, stamp->count, .99),
               percentile(stamp->buckets, stamp->count, .999), stamp->max_us);
    }
}

#endif
