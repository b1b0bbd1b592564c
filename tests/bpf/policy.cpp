// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "clock.h"
#include "object.h"
#include "packet.h"
#include "xdp/hash.h"

namespace synward::bpf_test {

namespace {

__be16 wire(unsigned value) {
    return __builtin_bswap16(static_cast<std::uint16_t>(value));
}

// The epoch must not change under a test that predicts its cookies: the shortest
// shift whose present epoch lasts two more minutes.
std::uint8_t calm_epoch_shift() {
    const std::uint64_t now = ticks(), needed = 120ull * ticks_per_second();
    std::uint8_t shift = 16;
    while ((1ull << shift) - (now & ((1ull << shift) - 1)) < needed) ++shift;
    return shift;
}

Address mapped(const Address& address) {
    if (address.size() == 16) return address;
    Address result(10);
    result.resize(12, 0xff);
    append(result, address);
    return result;
}

}  // namespace

sw_service make_service(const std::string& name, sw_mode mode) {
    sw_service s{};
    s.mode = mode;
    s.delivery = SW_DELIVERY_REQSK;
    s.stray = SW_ACTION_DROP;
    s.fragment = SW_ACTION_DROP;
    s.malformed = SW_ACTION_DROP;
    s.options = SW_OPTION_SACK | SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE | SW_OPTION_ECN;
    s.wscale = 9;
    s.ttl[SW_IPV4] = 64;
    s.ttl[SW_IPV6] = 63;
    s.mss[SW_IPV4] = wire(1460);
    s.mss[SW_IPV6] = wire(1440);
    s.window[SW_IPV4][0] = wire(64240);
    s.window[SW_IPV4][1] = wire(65160);
    s.window[SW_IPV6][0] = wire(64800);
    s.window[SW_IPV6][1] = wire(64260);
    s.arm_syns = 1000000;
    std::strncpy(s.name, name.c_str(), sizeof s.name - 1);
    return s;
}

Policy Policy::standard() {
    Policy p;
    p.config.abi = SW_ABI_VERSION;
    p.config.flags = SW_FLAG_CHECK_MAC;
    std::copy(kHostMac.begin(), kHostMac.end(), p.config.mac);
    p.config.fragment = SW_ACTION_DROP;
    p.config.malformed = SW_ACTION_DROP;
    p.config.epoch_shift = calm_epoch_shift();
    p.config.flow_shift = kFlowShift;
    p.config.source_shift = kSourceShift;
    p.config.window_shift = 5;
    p.config.hz = ticks_per_second();
    p.config.grace_ticks = 3600 * p.config.hz;
    p.config.listener_ticks = 3600 * p.config.hz;
    for (unsigned i = 0; i < 8; ++i) p.config.hash_key[i] = (0x9e3779b97f4a7c15 * (2 * i + 3)) | 1;
    p.config.keyring.key[0][0] = 0x0123456789abcdef;
    p.config.keyring.key[0][1] = 0xfedcba9876543210;
    p.config.keyring.key[1][0] = 0x5555aaaa5555aaaa;
    p.config.keyring.key[1][1] = 0x3c3cc3c33c3cc3c3;
    p.config.keyring.version = 1;
    p.services[kWeb] = make_service("web", SW_MODE_COOKIE);
    p.services[kMonitor] = make_service("monitor", SW_MODE_MONITOR);
    p.services[kAuto] = make_service("auto", SW_MODE_AUTO);
    p.services[kOff] = make_service("off", SW_MODE_OFF);
    p.services[kBound] = make_service("bound", SW_MODE_COOKIE);
    p.ports = {{kWebPort, kWeb},
               {kMonitorPort, kMonitor},
               {kAutoPort, kAuto},
               {kOffPort, kOff},
               {kBoundPort, SW_PORT_BY_ADDRESS}};
    p.addresses = {{{kHost4, kBoundPort}, kBound}, {{kHost6, kBoundPort}, kBound}};
    return p;
}

void Policy::put_exact(std::span<sw_source_set> sets, const Fate& fate) const {
    const Address& source = fate.address;
    const int family = source.size() == 16 ? SW_IPV6 : SW_IPV4;
    __u64 words[2] = {};
    std::memcpy(words, source.data(), source.size());
    const __u64 hash = hash_exact(config.hash_key, words, wire(fate.port), family);
    const std::uint32_t shift = sw_set_exact_shift(gate_shift, kSourceShift);
    const std::uint32_t first_set = sw_source_index(hash, shift);
    const std::uint32_t other_set = sw_source_other(first_set, hash, shift);
    const unsigned first = exact == Exact::last_way ? SW_SOURCE_WAYS - 1 : sw_source_way(hash);
    for (const std::uint32_t set :
         {exact == Exact::other_set ? other_set : first_set, other_set, first_set}) {
        for (unsigned tried = 0; tried < SW_SOURCE_WAYS; ++tried) {
            auto& way = sets[set].entry[(first + tried) % SW_SOURCE_WAYS];
            if (way & SW_SOURCE_FATE) continue;
            way = sw_source_tag(hash, family) | fate.fate;
            return;
        }
    }
    throw std::runtime_error("both sets of a source are full");
}

void Policy::store_sources(const Object& object, sw_config& stored) const {
    stored.sources = source_generation << SW_SET_GENERATION_SHIFT | gate_shift << SW_SET_GATE_SHIFT;
    std::array<sw_source_set, 1 << kSourceShift> sets{};
    std::uint64_t gate = 0;
    auto prefix = std::make_unique<sw_gate>(object.read<sw_gate>("gates", 0));
    auto& bits = prefix->prefix[source_generation];
    auto& small = prefix->exact[source_generation];
    std::memset(small, 0, sizeof small);
    std::memset(bits, 0, sizeof bits);
    for (const Fate& one : fates) {
        const auto& [address, length, fate, port] = one;
        const bool v6 = address.size() == 16;
        if (port) stored.sources |= v6 ? SW_SET_PORT6 : SW_SET_PORT4;
        if (length == 8 * address.size()) {
            stored.sources |= v6 ? SW_SET_EXACT6 : SW_SET_EXACT4;
            put_exact(sets, one);
            // Which bit is the program's own hash; "may be there" is true for all.
            if (gate_shift == SW_GATE_BITS)
                std::memset(small, 0xff, sizeof small);
            else
                gate = ~std::uint64_t{0};
            continue;
        }
        stored.sources |= v6 ? SW_SET_PREFIX6 : SW_SET_PREFIX4;
        const std::uint32_t value = fate | length << SW_PREFIX_VALUE_LENGTH_SHIFT;
        // Behind the length: the generation, the port if it is for one, the address.
        Bytes data{static_cast<__u8>(source_generation | (port ? SW_PREFIX_BY_PORT : 0))};
        for (const unsigned byte : {port >> 8, port & 0xff})
            if (port) data.push_back(static_cast<__u8>(byte));
        const unsigned bits_before = 8 * static_cast<unsigned>(data.size());
        data.insert(data.end(), address.begin(), address.end());
        const auto write = [&](auto key, const char* map) {
            key.length = bits_before + length;
            std::memcpy(&key.generation, data.data(), data.size());
            object.write(map, key, value);
        };
        if (v6) {
            write(sw_prefix6{}, "sw_prefix6");
            std::memset(bits[SW_IPV6], 0xff, sizeof bits[SW_IPV6]);
        } else {
            write(sw_prefix4{}, "sw_prefix4");
            const unsigned first = get16(address, 0), span = length >= 16 ? 1 : 1u << (16 - length);
            for (unsigned i = first; i < first + span; ++i) bits[SW_IPV4][i / 64] |= 1ull << (i % 64);
        }
    }
    const std::uint32_t base = source_generation << kSourceShift;
    for (std::uint32_t i = 0; i < sets.size(); ++i) {
        object.write("sw_exact", base + i, sets[i]);
        object.write("sw_gate", base + i, gate);
    }
    object.write("gates", std::uint32_t{0}, *prefix);
}

void Policy::store(const Object& object) const {
    const std::uint32_t zero = 0;
    const std::uint32_t generation = config.generation;
    auto table = std::make_unique<sw_ports>();
    for (const auto& [port, service] : ports) table->service[port] = static_cast<std::uint16_t>(service);
    object.write("sw_ports", generation, *table);
    for (unsigned i = 0; i < SW_SERVICES; ++i) {
        object.write("sw_services", generation * SW_SERVICES + i, services[i]);
        object.write("sw_state", i, states[i]);
    }
    object.clear("sw_addresses");
    for (const auto& [where, service] : addresses) {
        sw_address_key key{};
        const Address full = mapped(where.first);
        std::copy(full.begin(), full.end(), key.address);
        key.port = wire(where.second);
        key.generation = static_cast<std::uint16_t>(generation);
        object.write("sw_addresses", key, static_cast<std::uint32_t>(service));
    }

    sw_config stored = config;
    for (const char* map : {"sw_prefix4", "sw_prefix6"}) object.clear(map);
    store_sources(object, stored);
    object.clear("sw_tickets");
    for (const StoredTicket& ticket : tickets) {
        // One that ends with this tick means nothing in the next, and so in this one.
        const std::uint64_t until = ticks() + (ticket.expired ? 0 : 3600ull * config.hz);
        object.write("sw_tickets", ticket.key(), make_ticket(until, ticket.action));
    }
    object.write("sw_config", zero, stored);
}

sw_ticket make_ticket(std::uint64_t until, sw_action action) {
    return {.until = static_cast<__u32>(until),
            .action = static_cast<__u8>(action),
            .decider = 0,
            .until_high = static_cast<__u16>(until >> 32)};
}

sw_ticket_key StoredTicket::key() const {
    sw_ticket_key key{};
    key.doubt = static_cast<__u8>(doubt);
    key.service = static_cast<__u16>(service);
    if (doubt == SW_DOUBT_SHAPE) {
        key.family = shape.family;
        std::memcpy(key.subject, &shape, sizeof shape);
    } else {
        key.family = source.size() == 16 ? SW_IPV6 : SW_IPV4;
        std::memcpy(key.subject, source.data(), source.size());
    }
    return key;
}

std::optional<sw_action> Policy::ticket(unsigned service, sw_doubt doubt, const Address& source) const {
    for (const StoredTicket& t : tickets)
        if (!t.expired && t.service == service && t.doubt == doubt && t.source == source) return t.action;
    return std::nullopt;
}

std::optional<sw_action> Policy::ticket(unsigned service, const sw_shape& shape) const {
    for (const StoredTicket& t : tickets)
        if (!t.expired && t.service == service && t.doubt == SW_DOUBT_SHAPE &&
            !std::memcmp(&t.shape, &shape, sizeof shape))
            return t.action;
    return std::nullopt;
}

unsigned Policy::service_of(const Address& destination, unsigned port) const {
    const auto found = ports.find(port);
    if (found == ports.end()) return kNone;
    if (found->second != SW_PORT_BY_ADDRESS) return found->second;
    const auto bound = addresses.find({destination, port});
    return bound == addresses.end() ? kNone : bound->second;
}

sw_fate Policy::fate_of(const Address& source, unsigned port) const {
    const Fate* best = nullptr;
    for (const auto& fate : fates) {
        if (fate.address.size() != source.size() || (fate.port && fate.port != port)) continue;
        bool inside = true;
        for (unsigned bit = 0; bit < fate.bits; ++bit)
            inside &= !((fate.address[bit / 8] ^ source[bit / 8]) & (0x80 >> bit % 8));
        if (!inside) continue;
        if (!best || std::pair(fate.port != 0, fate.bits) > std::pair(best->port != 0, best->bits))
            best = &fate;
    }
    return best ? best->fate : SW_FATE_NONE;
}

}  // namespace synward::bpf_test
