// SPDX-License-Identifier: GPL-2.0-or-later
#include "subject.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>

#include "lib/maps.h"
#include "link.h"
#include "xdp/hash.h"

namespace synward::bench {
namespace {

constexpr const char* kInterface = "bench0";

std::string config_of(const Target& target, const std::string& sources) {
    // the budgets are checked for every packet, as in life, and never reached
    return fmt::format(R"([limits]
reply_rate = 1000000000
prefix_rate = 1000000000
[defaults]
stray = "drop"
[[service]]
name = "armed"
port = [{}]
mode = "cookie"
[[service]]
name = "idle"
port = [{}]
mode = "auto"
{})",
                       target.port, target.idle_port, sources);
}

// Source address and both ports as xdp/hash.h takes them.
struct Tuple {
    uint64_t source[2] = {};
    uint32_t ports = 0;
};

Tuple tuple_of(const bench_entry& entry, uint16_t port) {
    Tuple tuple;
    memcpy(tuple.source, entry.source, sizeof(tuple.source));
    tuple.ports = entry.port | uint32_t{htons(port)} << 16;
    return tuple;
}

// Keys of the flow table of `family`, one after the other.
std::vector<uint8_t> flow_keys(sw_family family, const std::vector<bench_entry>& entries,
                               const Target& target) {
    std::vector<uint8_t> keys;
    for (const auto& entry : entries) {
        sw_flow4 key4{};
        sw_flow6 key6{};
        memcpy(&key4.source, entry.source, 4);
        memcpy(&key4.destination, target.address[SW_IPV4].bytes.data(), 4);
        memcpy(key6.source, entry.source, 16);
        memcpy(key6.destination, target.address[SW_IPV6].bytes.data(), 16);
        key4.source_port = key6.source_port = entry.port;
        key4.destination_port = key6.destination_port = htons(target.port);
        const auto* bytes =
            family == SW_IPV4 ? reinterpret_cast<uint8_t*>(&key4) : reinterpret_cast<uint8_t*>(&key6);
        keys.insert(keys.end(), bytes, bytes + (family == SW_IPV4 ? sizeof(key4) : sizeof(key6)));
    }
    return keys;
}

const char* flow_map(sw_family family) {
    return family == SW_IPV4 ? "sw_flows4" : "sw_flows6";
}

}  // namespace

Subject::Subject(const std::string& object) : object_(object) {
    target_.address[SW_IPV4] = parse_address("198.18.0.1");
    target_.address[SW_IPV6] = parse_address("2001:db8::1");
    make_veth(netns_, kInterface, netns_, "bench1");
    netns_.ip(fmt::format("addr add 198.18.0.1/15 dev {}", kInterface));
    netns_.ip(fmt::format("addr add 2001:db8::1/32 dev {} nodad", kInterface));
    {
        const Netns::Inside inside(netns_);
        target_.mac = read_link(kInterface).mac;
        listeners_[0] = listen_on(target_.port);
        listeners_[1] = listen_on(target_.idle_port);
    }
    instance_ = std::make_unique<Instance>(protect(netns_, kInterface, config_of(target_, ""), object));
}

void Subject::apply(const std::string& sources) {
    apply_config(netns_, *instance_, config_of(target_, sources));
}

void Subject::write_filter(const std::function<void(sw_filter&)>& change) {
    auto memory = need(MappedArray<sw_memory>::create(instance_->map_fd("sw_memory"), 1, "sw_memory"));
    change(memory.data()->filter);
}

void Subject::know(sw_family family, const std::vector<bench_entry>& entries) {
    const sw_config live = instance_->config();
    auto keys = flow_keys(family, entries, target_);
    std::vector<sw_flow> values(entries.size(), {.state = SW_FLOW_CONFIRMED, .service = 1});
    auto count = static_cast<uint32_t>(entries.size());
    if (bpf_map_update_batch(instance_->map_fd(flow_map(family)), keys.data(), values.data(), &count,
                             nullptr) != 0)
        throw std::runtime_error(fmt::format("cannot write map {}: {}", flow_map(family), strerror(errno)));
    write_filter([&](sw_filter& filter) {
        for (const auto& entry : entries) {
            const Tuple tuple = tuple_of(entry, target_.port);
            const auto slot =
                hash_filter(live.hash_key, reinterpret_cast<const __u64*>(tuple.source), tuple.ports, family);
            filter.bits[slot / 64][live.stamp & 1] |= 1ULL << slot % 64;
        }
    });
}

void Subject::forget(sw_family family, const std::vector<bench_entry>& entries) {
    auto keys = flow_keys(family, entries, target_);
    const size_t size = keys.size() / std::max<size_t>(entries.size(), 1);
    // one by one: a batch stops at the first connection that was not there
    for (size_t i = 0; i < entries.size(); ++i)
        (void)bpf_map_delete_elem(instance_->map_fd(flow_map(family)), &keys[i * size]);
    write_filter([](sw_filter& filter) { memset(&filter, 0, sizeof(filter)); });
}

void Subject::deny(sw_family family, const std::vector<bench_entry>& entries) {
    std::string list;
    for (const auto& entry : entries) {
        Address address;
        address.family = family;
        memcpy(address.bytes.data(), entry.source, size_of(address));
        list += fmt::format("\"{}\", ", address.to_string());
    }
    apply(list.empty() ? "" : fmt::format("[sources]\ndeny = [{}]\n", list));
}

Counters Subject::count() {
    const Counters now = need(instance_->stats()).total();
    Counters difference{};
    for (size_t i = 0; i < now.size(); ++i) difference[i] = now[i] - counters_[i];
    counters_ = now;
    return difference;
}

}  // namespace synward::bench
