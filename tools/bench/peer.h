// SPDX-License-Identifier: GPL-2.0-or-later
// Other XDP programs, measured beside ours: object files, pinned programs, ids, what is attached.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf_object.h"

namespace CLI {
class App;
}

namespace synward::bench {

struct PeerOptions {
    std::vector<std::string> peers;  // NAME=FILE.o[:PROGRAM] or NAME=PINNED
    std::vector<std::string> maps;   // MAP=KEY:VALUE, in hexadecimal bytes
};
void add_peer_options(CLI::App& command, PeerOptions& options);

// All of it throws std::runtime_error.
class Peer {
  public:
    static Peer object(const std::string& name, const std::string& file, const std::string& program);
    static Peer pinned(const std::string& name, const std::string& path);
    static Peer id(const std::string& name, uint32_t id);
    static Peer attached(const std::string& interface);  // of the current namespace

    const std::string& name() const { return name_; }
    int program() const { return program_; }

    // Writes one element into a map of the program.
    void set(const std::string& map, const std::string& key, const std::string& value) const;

  private:
    std::string name_;
    std::optional<BpfObject> object_;
    Fd fd_;
    int program_ = -1;
};

std::vector<Peer> open_peers(const PeerOptions& options);

}  // namespace synward::bench
