/*
 * What the tools of the benchmark count, live, in a file that is their standard output: whoever
 * started them reads it at any time. Host byte order; load_tls.py knows the layout.
 */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#include <stdint.h>

#define COUNTS_LINK 64

struct counts {
	uint64_t messages; /* that arrived whole, each number once */
	uint64_t twice;	   /* … that had arrived before */
	uint64_t strange;  /* … without a number */
	uint64_t connections;
	uint64_t handshakes; /* of TLS, whole ones and resumed ones */
	uint64_t resumed;
	uint64_t begun_ns, ended_ns; /* of a source: CLOCK_MONOTONIC */
	char link[COUNTS_LINK]; /* of the last handshake: version, cipher, group, kind of key */
};

uint64_t counts_now(void);
/* Maps standard output. Ends the program where that is no file. */
struct counts *counts_map(void);

#endif
