// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/readjust.h"

#include <arpa/inet.h>

#include <algorithm>

namespace synward {
namespace {

unsigned allowed_options(const Sysctls& s) {
    return (s.tcp_sack ? SW_OPTION_SACK : 0u) | (s.tcp_timestamps ? SW_OPTION_TIMESTAMP : 0u) |
           (s.tcp_ecn ? SW_OPTION_ECN : 0u) | (s.tcp_window_scaling ? SW_OPTION_WSCALE : 0u);
}

// What the config does not have: what it was made from is not known, so only shrink.
void shrink(sw_service& service, const Sysctls& sysctls, unsigned mtu) {
    constexpr unsigned headers[SW_FAMILIES] = {40, 60};
    for (unsigned family = 0; family < SW_FAMILIES; family++) {
        const unsigned room = std::clamp(mtu, headers[family] + 64, 65535u) - headers[family];
        service.mss[family] =
            htons(static_cast<std::uint16_t>(std::min<unsigned>(ntohs(service.mss[family]), room)));
    }
    if (service.delivery == SW_DELIVERY_SYNPROXY) return;
    service.options &= static_cast<std::uint8_t>(allowed_options(sysctls));
    if (service.delivery != SW_DELIVERY_KERNEL) return;
    if (sysctls.tcp_timestamps != 2) service.options = 0;
    service.wscale = host_wscale(sysctls);
}

}  // namespace

CompiledPolicy readjust(const CompiledPolicy& live, const CompiledPolicy& compiled, unsigned mtu) {
    CompiledPolicy result = live;
    std::copy(std::begin(compiled.config.mac), std::end(compiled.config.mac), result.config.mac);
    // A gateway's flag may come from a service that was added at run time.
    result.config.flags = compiled.config.flags | (live.config.flags & SW_FLAG_GATEWAY);
    for (sw_service& service : result.services) {
        if (!service.name[0]) continue;
        service.ttl[SW_IPV4] = compiled.sysctls.ttl;
        service.ttl[SW_IPV6] = compiled.sysctls.hop_limit;
        const unsigned index = compiled.find(service.name);
        const sw_service& fresh = compiled.services[index];
        if (!index || fresh.delivery != service.delivery) {
            shrink(service, compiled.sysctls, mtu);
            continue;
        }
        std::copy(std::begin(fresh.mss), std::end(fresh.mss), service.mss);
        std::copy(&fresh.window[0][0], &fresh.window[0][0] + SW_FAMILIES * 2, &service.window[0][0]);
        service.options = fresh.options;
        service.wscale = fresh.wscale;
    }
    result.sysctls = compiled.sysctls;
    return result;
}

}  // namespace synward
