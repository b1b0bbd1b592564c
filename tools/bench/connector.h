// SPDX-License-Identifier: GPL-2.0-or-later
// A client that opens many TCP connections and times them, and the server it may talk to.
// Both work in the calling thread's network namespace and throw std::runtime_error.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "bpf_object.h"
#include "network.h"

namespace synward::bench {

// What makes a connection count as answered: a SYN-ACK alone proves no server behind a cookie.
enum class Probe {
    kByte,  // one byte there, any byte back (Responder)
    kHttp,  // GET / over HTTP/1.0, any byte back
    kNone,  // established is enough
};

struct ConnectOptions {
    Address to;
    uint16_t port = 80;
    std::vector<Address> from;    // local addresses in turn; empty: the kernel's choice
    double rate = 1000;           // new connections per second; 0: as many as `outstanding` allows
    unsigned outstanding = 1000;  // at most, at one time
    double seconds = 5;           // of opening; what is open then may finish
    double timeout = 5;           // seconds until a connection counts as failed
    Probe probe = Probe::kByte;
};

struct Percentiles {  // milliseconds
    double p50 = 0, p90 = 0, p99 = 0, max = 0;
};

struct ConnectReport {
    uint64_t started = 0;
    uint64_t connected = 0;
    uint64_t answered = 0;
    uint64_t refused = 0;    // RST
    uint64_t timed_out = 0;  // no SYN-ACK or no answer in time
    uint64_t failed = 0;     // any other error
    uint64_t skipped = 0;    // due, but too many were outstanding
    double seconds = 0;      // of opening
    Percentiles connect;     // connect() to established
    Percentiles answer;      // connect() to the answer

    // Of all that were due.
    double success() const {
        const auto due = static_cast<double>(started + skipped);
        return due > 0 ? static_cast<double>(answered) / due : 0;
    }
    double per_second() const { return seconds > 0 ? static_cast<double>(answered) / seconds : 0; }
};

ConnectReport run_connections(const ConnectOptions& options);

// Accepts on `listener` and answers every first byte with one, until told to stop.
void respond(const Fd& listener, std::stop_token stop);

}  // namespace synward::bench
