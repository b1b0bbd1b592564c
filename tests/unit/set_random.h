// SPDX-License-Identifier: GPL-2.0-or-later
// Random ipsets, made by the ipset command in the test's own namespace.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace synward {

class RandomSets {
  public:
    explicit RandomSets(unsigned seed) : random_(seed) {}

    [[nodiscard]] unsigned below(unsigned limit) {
        return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_);
    }
    // Of a small range, so that prefixes overlap: 198.18.0.0/22, 2001:db8::/118.
    [[nodiscard]] std::string address(bool v6);
    [[nodiscard]] std::string prefix(bool v6);
    // One element as `ipset add` of that type takes it.
    [[nodiscard]] std::string element(const std::string& type, bool v6);
    // "create ..." and "add ..." lines; marks are 0xd, 0xa, 0x20, 0x30 or absent.
    [[nodiscard]] std::string set(const std::string& name, const std::string& type, bool v6,
                                  unsigned elements, const std::string& options = "skbinfo");

  private:
    std::mt19937 random_;
};

// `ipset restore -exist` with these lines.
void restore(const std::string& lines);

inline const std::vector<std::string>& set_types() {
    static const std::vector<std::string> types{"hash:ip", "hash:net", "hash:ip,port", "hash:net,port",
                                                "hash:net,iface"};
    return types;
}

}  // namespace synward
