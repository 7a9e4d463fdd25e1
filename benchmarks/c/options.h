/* The command line of the load generator. */
#ifndef BENCHMARK_OPTIONS_H
#define BENCHMARK_OPTIONS_H

#include "stamps.h"
#include <getopt.h>

static const char usage[] =
    "loadgen --port P --path PATH --connections N (--messages M | --seconds S [--warmup W])\n"
    "  --hello TEXT      sent on every connection after its handshake\n"
    "  --then TEXT       sent after the first message that arrives (socket.io wants that)\n"
    "  --await TEXT      READY comes when every reader got a message that begins with TEXT\n"
    "  --match TEXT      only messages that begin with TEXT count\n"
    "  --stamp KEY:KIND  a number behind KEY is a time: KIND ms (epoch), s (epoch seconds modulo 100000)\n"
    "  --sample N        only one message in N is looked at for stamps\n"
    "  --ids             \"id\": must rise by 1 for each symbol of a connection; violations are counted\n"
    "  --each            also tell the worst p99 of a single connection, by the first stamp\n"
    "  --stalled K       the first K connections never read\n"
    "  --deflate         offer permessage-deflate; compressed messages then count unseen\n"
    "  --timeout T       give up after T seconds without a message\n"
    "  --origin TEXT     the Origin header\n";

static struct options {
    int port, connections, stalled, check_ids, deflate, each;
    unsigned long sample;
    long messages;
    double seconds, warmup, timeout;
    const char *path, *hello, *then, *match, *origin, *awaited;
} options = {.connections = 1, .sample = 1, .path = "/", .timeout = 10};

static void read_options(int count, char **words) {
    enum { PORT = 1, PATH, CONNECTIONS, MESSAGES, SECONDS, WARMUP, HELLO, THEN, MATCH, STAMP, IDS, STALLED, DEFLATE,
           TIMEOUT, ORIGIN, SAMPLE, AWAIT, EACH };
    static const struct option known[] = {
        {"port", 1, 0, PORT},       {"path", 1, 0, PATH},       {"connections", 1, 0, CONNECTIONS},
        {"messages", 1, 0, MESSAGES}, {"seconds", 1, 0, SECONDS}, {"warmup", 1, 0, WARMUP},
        {"hello", 1, 0, HELLO},     {"then", 1, 0, THEN},       {"match", 1, 0, MATCH},
        {"stamp", 1, 0, STAMP},     {"ids", 0, 0, IDS},         {"stalled", 1, 0, STALLED},
        {"deflate", 0, 0, DEFLATE}, {"timeout", 1, 0, TIMEOUT}, {"origin", 1, 0, ORIGIN}, {"sample", 1, 0, SAMPLE},
        {"await", 1, 0, AWAIT},     {"each", 0, 0, EACH},
        {0, 0, 0, 0}};
    for (int word; (word = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (word) {
        case PORT: options.port = atoi(optarg); break;
        case PATH: options.path = optarg; break;
        case CONNECTIONS: options.connections = atoi(optarg); break;
        case MESSAGES: options.messages = atol(optarg); break;
        case SECONDS: options.seconds = atof(optarg); break;
        case WARMUP: options.warmup = atof(optarg); break;
        case HELLO: options.hello = optarg; break;
        case THEN: options.then = optarg; break;
        case MATCH: options.match = optarg; break;
        case STAMP: add_stamp(optarg); break;
        case IDS: options.check_ids = 1; break;
        case STALLED: options.stalled = atoi(optarg); break;
        case DEFLATE: options.deflate = 1; break;
        case TIMEOUT: options.timeout = atof(optarg); break;
        case AWAIT: options.awaited = optarg; break;
        case EACH: options.each = 1; break;
        case SAMPLE: options.sample = strtoul(optarg, NULL, 10); break;
        case ORIGIN: options.origin = optarg; break;
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (!options.port || options.connections < 1 || options.stalled > options.connections) {
        fputs(usage, stderr);
        exit(2);
    }
}

#endif
