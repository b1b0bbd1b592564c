// SPDX-License-Identifier: GPL-2.0-or-later
// synward as the subject of `program`: loaded in a namespace of its own, its maps filled for
// each case, and its counters asked whether a packet took the way it should.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cases.h"
#include "lib/maps.h"
#include "listener.h"
#include "protection.h"

namespace synward::bench {

class Subject {
  public:
    // A namespace with real listeners; `object` as in LoadOptions.
    explicit Subject(const std::string& object);

    const Netns& netns() const { return netns_; }
    const Target& target() const { return target_; }
    int program() const { return instance_->program_fd(); }
    unsigned interface() const { return instance_->interface().index; }

    // Known connections cost an entry of the table and a stamp of the filter, as in life.
    // The packets of these entries are of known connections.
    void know(sw_family family, const std::vector<bench_entry>& entries);
    // Forgets every connection, also of the filter.
    void forget();
    // Denies the sources of these entries; an empty list lifts it.
    void deny(sw_family family, const std::vector<bench_entry>& entries);

    // How packets were counted since the last call.
    Counters count();

  private:
    void apply(const std::string& sources);
    MappedArray<sw_flow_set> flow_table();
    void write_filter(const std::function<void(sw_filter&)>& change);

    std::string object_;
    Netns netns_;
    Target target_;
    std::unique_ptr<Instance> instance_;
    Fd listeners_[2];
    Counters counters_{};
};

}  // namespace synward::bench
