// SPDX-License-Identifier: GPL-2.0-or-later
// Network namespaces without names: they go with the process, whatever becomes of it.
#pragma once

#include <sys/types.h>

#include <string>

#include "bpf_object.h"

namespace synward::bench {

class Netns {
  public:
    Netns();  // a fresh one with loopback up; throws std::runtime_error

    // The calling thread is inside while one of these lives.
    class Inside {
      public:
        explicit Inside(const Netns& netns);
        ~Inside();
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;

      private:
        Fd before_;
    };

    // A path of this process that `ip` takes as a namespace.
    std::string path() const;
    // `line` is what follows `ip`.
    void ip(const std::string& line) const;
    // `name` as in sysctl(8), with slashes.
    void sysctl(const std::string& name, const std::string& value) const;

  private:
    Fd fd_;
};

// Lets a kernel thread of its own, pinned to `cpu`, receive what arrives at `interface`, as the
// interrupt of a network card is: a full queue then drops frames, whoever sends them. The name
// must be unique on this machine. Returns the thread's process id. Linux 5.12.
pid_t receive_on_cpu(const Netns& netns, const std::string& interface, int cpu);

// A veth pair, both ends up: `a` in namespace `in_a`, `b` in `in_b`.
void make_veth(const Netns& in_a, const std::string& a, const Netns& in_b, const std::string& b);

}  // namespace synward::bench
