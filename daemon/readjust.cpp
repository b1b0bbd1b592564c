// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/readjust.h"

#include <arpa/inet.h>

#include <algorithm>

namespace synward {

CompiledPolicy readjust(const CompiledPolicy& live, const CompiledPolicy& compiled, unsigned mtu) {
    CompiledPolicy result = live;
    std::copy(std::begin(compiled.config.mac), std::end(compiled.config.mac), result.config.mac);
    // A gateway's flag may come from a service that was added at run time.
    result.config.flags = compiled.config.flags | (live.config.flags & SW_FLAG_GATEWAY);
    for (sw_service& service : result.services) {
        if (!service.name[0]) continue;
        if (const unsigned index = compiled.find(service.name)) {
            const sw_service& fresh = compiled.services[index];
            std::copy(std::begin(fresh.mss), std::end(fresh.mss), service.mss);
            std::copy(&fresh.window[0][0], &fresh.window[0][0] + SW_FAMILIES * 2, &service.window[0][0]);
            continue;
        }
        // Not in the config: what it was made from is not known, so only shrink.
        constexpr unsigned headers[SW_FAMILIES] = {40, 60};
        for (unsigned family = 0; family < SW_FAMILIES; family++) {
            const unsigned room = std::clamp(mtu, headers[family] + 64, 65535u) - headers[family];
            service.mss[family] =
                htons(static_cast<std::uint16_t>(std::min<unsigned>(ntohs(service.mss[family]), room)));
        }
    }
    return result;
}

}  // namespace synward
