// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/services.h"

#include <fmt/format.h>

#include "lib/abi/maps.h"
#include "lib/decide/prefix.h"

namespace synward {

using std::memory_order_relaxed;

ServiceTable::ServiceTable(KeySource& keys)
    : index_(keys.next()), tag_(keys.next()), generations_(new Generation[2]()) {}

std::array<std::uint32_t, 6> ServiceTable::words(const RawAddress& address, sw_family family,
                                                 std::uint16_t port) const {
    return {address[0], address[1], address[2], address[3], port, static_cast<std::uint32_t>(family)};
}

Result<void> ServiceTable::load(const CompiledPolicy& policy) {
    static_assert(SW_ADDRESSES <= slots / 2);
    if (policy.addresses.size() > SW_ADDRESSES)
        return fail(ErrorCode::config, fmt::format("the services name {} addresses; {} are allowed",
                                                   policy.addresses.size(), SW_ADDRESSES));
    const unsigned next = generation_.load(memory_order_relaxed) ^ 1;
    Generation& g = generations_[next];
    for (std::size_t port = 0; port < SW_PORTS; port++)
        g.ports[port].store(port < policy.ports.size() ? policy.ports[port] : 0, memory_order_relaxed);
    for (std::size_t i = 0; i < SW_SERVICES; i++)
        g.drop[i].store(policy.services[i].escalate_default == SW_ACTION_DROP, memory_order_relaxed);
    for (auto& slot : g.addresses) slot.store(0, memory_order_relaxed);
    for (const AddressEntry& entry : policy.addresses) {
        const auto x = words(raw_address(entry.address), entry.address.family, entry.port);
        std::size_t at = hash_index(index_(x), slots);
        while (g.addresses[at].load(memory_order_relaxed)) at = (at + 1) % slots;
        g.addresses[at].store(std::uint64_t{tag_(x)} << 32 | 1u << 16 | entry.service, memory_order_relaxed);
    }
    generation_.store(next, std::memory_order_release);
    return {};
}

std::uint8_t ServiceTable::find(const FlowEvent& event) const {
    const Generation& g = current();
    const std::uint16_t service = g.ports[event.destination_port].load(memory_order_relaxed);
    if (service != SW_PORT_BY_ADDRESS) return service < SW_SERVICES ? static_cast<std::uint8_t>(service) : 0;
    const auto x = words(event.destination, event.family, event.destination_port);
    const std::uint32_t tag = tag_(x);
    std::size_t at = hash_index(index_(x), slots);
    for (std::size_t i = 0; i < slots; i++, at = (at + 1) % slots) {
        const std::uint64_t held = g.addresses[at].load(memory_order_relaxed);
        if (!held) return 0;
        if (held >> 32 == tag) return static_cast<std::uint8_t>(held);
    }
    return 0;
}

}  // namespace synward
