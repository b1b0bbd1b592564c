// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/route.h"

#include <linux/ipv6_route.h>
#include <linux/route.h>

#include <fstream>
#include <sstream>

namespace synward::cli {

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses and flags are hexadecimal.
std::optional<std::string> default_route4(std::istream& table) {
    std::optional<std::string> best;
    unsigned long least = 0;
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
        std::istringstream fields(line);
        std::string interface;
        unsigned long destination, gateway, flags, references, uses, metric, mask;
        fields >> interface >> std::hex >> destination >> gateway >> flags >> std::dec >> references >>
            uses >> metric >> std::hex >> mask;
        if (!fields || destination || mask || !(flags & RTF_UP) || flags & RTF_REJECT) continue;
        if (best && metric >= least) continue;
        best = interface;
        least = metric;
    }
    return best;
}

// destination length source length next-hop metric references uses flags interface; all hexadecimal.
std::optional<std::string> default_route6(std::istream& table) {
    std::optional<std::string> best;
    unsigned long least = 0;
    std::string line;
    while (std::getline(table, line)) {
        std::istringstream fields(line);
        std::string destination, source, hop, interface;
        unsigned long length, source_length, metric, references, uses, flags;
        fields >> destination >> std::hex >> length >> source >> source_length >> hop >> metric >>
            references >> uses >> flags >> interface;
        if (!fields || length || !(flags & RTF_UP) || flags & RTF_REJECT || interface == "lo") continue;
        if (best && metric >= least) continue;
        best = interface;
        least = metric;
    }
    return best;
}

std::optional<std::string> default_route_interface() {
    std::ifstream four("/proc/net/route");
    if (auto interface = default_route4(four)) return interface;
    std::ifstream six("/proc/net/ipv6_route");
    return default_route6(six);
}

}  // namespace synward::cli
