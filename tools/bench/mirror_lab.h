// SPDX-License-Identifier: GPL-2.0-or-later
// A host with synwardd, whose driver hook is asked from outside what it would do with a source:
// one SYN run through the attached program by BPF_PROG_TEST_RUN.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bpf_object.h"
#include "netns.h"
#include "packet.h"

namespace synward::bench {

struct MirrorLabOptions {
    std::string daemon;       // path of synwardd; empty: beside this program
    std::string set;          // the set that is bound; it need not exist
    uint32_t sources = 1024;  // that the maps shall have room for
};

// Throws std::runtime_error. One thread at a time.
class MirrorLab {
  public:
    explicit MirrorLab(const MirrorLabOptions& options);
    ~MirrorLab();  // ends the daemon
    MirrorLab(const MirrorLab&) = delete;
    MirrorLab& operator=(const MirrorLab&) = delete;

    const Netns& netns() const { return netns_; }
    bool denied(uint32_t source) const;  // host byte order

    uint64_t cpu_time() const;    // ns that the daemon has used
    uint64_t resident() const;    // bytes of the daemon
    uint64_t map_memory() const;  // bytes of the program's maps, as the kernel accounts for them

  private:
    void start(const MirrorLabOptions& options);
    void find_program();
    void stop();

    Netns netns_, outside_;
    std::string folder_;  // of config, log and socket
    std::string interface_;
    Fd program_, listener_;
    std::vector<uint8_t> frame_;
    pid_t daemon_ = 0;
};

}  // namespace synward::bench
