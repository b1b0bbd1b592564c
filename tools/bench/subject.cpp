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

MappedArray<sw_flow_set> Subject::flow_table() {
    return need(MappedArray<sw_flow_set>::create(instance_->map_fd("sw_flows"),
                                                 size_t{1} << instance_->config().flow_shift, "sw_flows"));
}

// As xdp/flows.h puts them: the way that is tried first, else a free one.
void Subject::know(sw_family family, const std::vector<bench_entry>& entries) {
    const sw_config live = instance_->config();
    auto flows = flow_table();
    __u64 destination[2] = {};
    memcpy(destination, target_.address[family].bytes.data(), size_of(target_.address[family]));
    for (const auto& entry : entries) {
        const Tuple tuple = tuple_of(entry, target_.port);
        const __u64 hash = hash_flow(live.hash_key, reinterpret_cast<const __u64*>(tuple.source), destination,
                                     tuple.ports, family);
        sw_flow_set& set = flows.data()[hash >> 32 >> (32 - live.flow_shift)];
        unsigned way = sw_flow_way(hash);
        for (unsigned tried = 0; set.entry[way] && tried < SW_FLOW_WAYS; ++tried) way = tried;
        set.entry[way] = sw_flow_entry(static_cast<uint32_t>(hash), 0, SW_FLOW_CONFIRMED, 0);
    }
    write_filter([&](sw_filter& filter) {
        for (const auto& entry : entries) {
            const Tuple tuple = tuple_of(entry, target_.port);
            const auto slot =
                hash_filter(live.hash_key, reinterpret_cast<const __u64*>(tuple.source), tuple.ports, family);
            const auto generation = sw_stamp_generation(live.stamp);
            filter.bits[sw_filter_word(slot, live.stamp, generation)][generation] |= 1ULL << slot % 64;
        }
    });
}

void Subject::forget() {
    memset(flow_table().data(), 0, sizeof(sw_flow_set) << instance_->config().flow_shift);
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
