// SPDX-License-Identifier: GPL-2.0-or-later
// Time per packet of an XDP program, by bpf/wrapper.bpf.c. One thread; throws std::runtime_error.
#pragma once

#include <functional>
#include <vector>

#include "bpf_object.h"
#include "packet.h"

namespace synward::bench {

struct RunnerOptions {
    unsigned rounds = 11;       // the least of them counts
    unsigned packets = 131072;  // of a round
    bool fence = true;          // the program starts when the wrapper is done; else they overlap
    unsigned interface = 0;     // index of the interface the packets seem to come from; 0: loopback
};

// What a packet of a case looks like. Source address, source port, sequence (and where it
// varies, acknowledgement) number are filled in by the wrapper.
struct Stream {
    Segment segment;
    Prefix source;  // random sources are of this prefix
    bool random_ack = false;
    std::vector<bench_entry> entries;  // if not empty, a power of two of prepared packets
    bool any_entry = false;            // picked at random; else one after the other, each once a round
    bool echo = false;                 // the entries' echo goes into the timestamp option
};

struct Cost {
    double ns = 0;       // of the program alone
    double wrapper = 0;  // what was subtracted
    int action = 0;      // XDP_* of the last packet
};

// What a program made of one frame.
struct Outcome {
    int action = 0;
    bool metadata = false;
    std::vector<uint8_t> frame;
};

class Runner {
  public:
    explicit Runner(const RunnerOptions& options);

    // `before_round` undoes what a round left behind in the program's maps.
    Cost measure(int program, const Stream& stream, const std::function<void()>& before_round = {});
    Outcome run_once(int program, const std::vector<uint8_t>& frame) const;

  private:
    void aim(int program) const;
    void prepare(const Stream& stream) const;
    double round(int wrapper, const std::vector<uint8_t>& frame, unsigned packets,
                 int* action = nullptr) const;
    double restoring(int wrapper, const std::vector<uint8_t>& frame, const char* empty, double plain) const;

    RunnerOptions options_;
    BpfObject object_;
};

}  // namespace synward::bench
