// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/live_policy.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <set>
#include <tuple>

#include "lib/keys.h"

namespace synward {
namespace {

// The programs read these fields while we write: every store is one word, and
// sw_config.generation is the last that the switch to a new policy needs.
template <typename T>
T load(T& word) {
    return std::atomic_ref<T>(word).load(std::memory_order_acquire);
}
template <typename T>
void store(T& word, T value) {
    std::atomic_ref<T>(word).store(value, std::memory_order_release);
}

// Several fields as the aligned word they share.
using AnyWord64 [[gnu::may_alias]] = __u64;

__u64 load_word(const void* at) {
    return __atomic_load_n(static_cast<const AnyWord64*>(at), __ATOMIC_ACQUIRE);
}

void copy_word64(void* target, const void* source) {
    __atomic_store_n(static_cast<AnyWord64*>(target), *static_cast<const AnyWord64*>(source),
                     __ATOMIC_RELEASE);
}

static_assert(offsetof(sw_config, malformed) == offsetof(sw_config, mac) + 7);
static_assert(offsetof(sw_config, mac) % 8 == 0);
static_assert(offsetof(sw_config, keyring) % 8 == 0 && offsetof(sw_keyring, since) % 8 == 0);
static_assert(offsetof(sw_keyring, active) == offsetof(sw_keyring, since) + 4);

bool always_armed(unsigned mode) {
    return mode == SW_MODE_COOKIE;
}
bool arms_itself(unsigned mode) {
    return mode == SW_MODE_AUTO || mode == SW_MODE_MONITOR;
}

// Which services are protected where they were not.
std::array<bool, SW_SERVICES> gain_places(const CompiledPolicy& policy, const CompiledPolicy& old) {
    std::array<bool, SW_SERVICES> gained{};
    for (unsigned port = 0; port < SW_PORTS; port++)
        if (const unsigned i = policy.ports[port]; i < SW_SERVICES && i != old.ports[port]) gained[i] = true;
    std::set<std::tuple<Address, std::uint16_t, std::uint16_t>> known;
    for (const AddressEntry& e : old.addresses) known.insert({e.address, e.port, e.service});
    for (const AddressEntry& e : policy.addresses)
        if (e.service < SW_SERVICES && !known.contains({e.address, e.port, e.service}))
            gained[e.service] = true;
    return gained;
}

}  // namespace

void change_mode(sw_state& state, unsigned before, unsigned after, std::uint32_t now) {
    if (before == after) return;
    if (always_armed(after)) store(state.armed_since, __u32{now});
    if (always_armed(before)) store(state.armed_at, __u32{now});
    // Until now its connections may have come and gone unseen (mode monitor passes SYNs
    // even while armed): without a fresh walk over the sockets, "never seen" means nothing.
    if (always_armed(after) || before == SW_MODE_MONITOR) std::atomic_ref(state.armings).fetch_add(1);
    // What was off is not armed by what was counted before; arming counts up itself.
    if (!arms_itself(after) || before == SW_MODE_OFF) store(state.armed, __u32{0});
}

Result<LivePolicy> LivePolicy::create(std::shared_ptr<const MapSet> maps) {
    auto memory = MappedArray<sw_memory>::create(maps->fd("sw_memory"), 1, "sw_memory");
    if (!memory) return tl::unexpected(memory.error());
    return LivePolicy(std::move(maps), std::move(*memory));
}

sw_config LivePolicy::config() const {
    sw_config copy{};
    for (std::size_t i = 0; i < sizeof copy; i += 8) {
        const __u64 word = load_word(reinterpret_cast<const char*>(&memory_.data()->config) + i);
        std::memcpy(reinterpret_cast<char*>(&copy) + i, &word, sizeof word);
    }
    return copy;
}

std::array<std::uint32_t, SW_FATE_COUNT> LivePolicy::count_sources() const {
    std::array<std::uint32_t, SW_FATE_COUNT> counts{};
    for (std::size_t fate = 0; fate < counts.size(); fate++)
        counts[fate] = load(memory_.data()->sources[fate]);
    return counts;
}

Result<CompiledPolicy> LivePolicy::read() const {
    CompiledPolicy policy;
    policy.config = config();
    if (!policy.config.abi) return policy;
    if (policy.config.abi != SW_ABI_VERSION)
        return fail(ErrorCode::mismatch,
                    fmt::format("the policy in the kernel has ABI version {}, this is version {}; "
                                "unload it with the synward that wrote it",
                                policy.config.abi, SW_ABI_VERSION));
    const std::uint32_t generation = policy.config.generation & 1;
    // Only writers change these, of which there is one at a time.
    std::copy_n(memory_.data()->services[generation], SW_SERVICES, policy.services.begin());
    for (sw_service& service : policy.services) service.name[SW_NAME_LENGTH - 1] = 0;
    std::copy_n(memory_.data()->ports[generation].service, SW_PORTS, policy.ports.begin());

    const int addresses = maps_->fd("sw_addresses");
    sw_address_key key{};
    sw_address_key next{};
    for (const void* from = nullptr; bpf_map_get_next_key(addresses, from, &next) == 0; from = &key) {
        key = next;
        std::uint32_t service = 0;
        if (key.generation == generation && bpf_map_lookup_elem(addresses, &key, &service) == 0)
            policy.addresses.push_back(
                {Address::from_mapped(key.address), ntohs(key.port), static_cast<std::uint16_t>(service)});
    }
    // The hash map has an order of its own, which nobody wants to see.
    std::sort(policy.addresses.begin(), policy.addresses.end(),
              [](const AddressEntry& a, const AddressEntry& b) {
                  return std::tie(a.service, a.address, a.port) < std::tie(b.service, b.address, b.port);
              });
    return policy;
}

// Into the generation that nobody reads yet.
void LivePolicy::write_services(const CompiledPolicy& policy, std::uint32_t generation) {
    std::copy_n(policy.services.begin(), SW_SERVICES, memory_.data()->services[generation]);
    std::copy_n(policy.ports.begin(), SW_PORTS, memory_.data()->ports[generation].service);
}

Result<void> LivePolicy::write_addresses(const std::vector<AddressEntry>& entries, std::uint32_t generation) {
    const int fd = maps_->fd("sw_addresses");
    std::vector<sw_address_key> stale;
    sw_address_key key{};
    for (const void* from = nullptr; bpf_map_get_next_key(fd, from, &key) == 0; from = &stale.back())
        stale.push_back(key);
    for (const sw_address_key& k : stale)
        if (k.generation == generation) bpf_map_delete_elem(fd, &k);

    for (const AddressEntry& entry : entries) {
        const auto mapped = entry.address.mapped();
        std::copy(mapped.begin(), mapped.end(), key.address);
        key.port = htons(entry.port);
        key.generation = static_cast<std::uint16_t>(generation);
        const std::uint32_t service = entry.service;
        if (const int error = bpf_map_update_elem(fd, &key, &service, BPF_ANY))
            return fail_errno(-error, fmt::format("cannot write {} port {} into the map sw_addresses",
                                                  entry.address.to_string(), entry.port));
    }
    return {};
}

// Another service comes to an index: it starts with nothing armed and nothing counted.
Result<void> LivePolicy::reset_service(unsigned service) {
    sw_state& s = *state(service);
    store(s.armed, __u32{0});
    // Not equal, which means "complete": the old policy's service may still be in force.
    store(s.trusted, ~__u32{0});
    store(s.armings, __u32{0});
    store(s.last_syns, __u32{0});
    store(s.peak_syns, __u32{0});
    store(s.armed_since, __u32{0});
    const std::vector<sw_stats> zeros(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    if (const int error = bpf_map_update_elem(maps_->fd("sw_stats"), &service, zeros.data(), BPF_ANY))
        return fail_errno(-error, "cannot write the map sw_stats");
    return {};
}

void LivePolicy::prepare_states(const CompiledPolicy& policy, const CompiledPolicy& old, std::uint32_t now) {
    const auto gained = gain_places(policy, old);
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        if (!policy.services[i].name[0]) continue;
        const unsigned before = old.services[i].mode;
        const unsigned after = policy.services[i].mode;
        change_mode(*state(i), before, after, now);
        // Connections of a port or address that was not protected came unseen, too, and so did
        // those since the end of the hold time, which a longer one makes armed again.
        const bool unseen = gained[i] || policy.services[i].hold_ticks > old.services[i].hold_ticks;
        if (unseen && before == after && (always_armed(after) || load(state(i)->armed)))
            std::atomic_ref(state(i)->armings).fetch_add(1);
    }
}

void LivePolicy::store_config(const sw_config& wanted, std::uint32_t generation, std::uint32_t epoch) {
    sw_config& c = memory_.data()->config;
    const bool first = !load(c.abi);
    store(c.flags, wanted.flags);
    copy_word64(c.mac, wanted.mac);
    store(c.window_shift, wanted.window_shift);
    store(c.grace_ticks, wanted.grace_ticks);
    store(c.listener_ticks, wanted.listener_ticks);
    store(c.sample_ticks, wanted.sample_ticks);
    store(c.hz, wanted.hz);
    // An interval with the old tolerance, for a moment, is still a rate limit.
    store(c.reply.interval, wanted.reply.interval);
    store(c.reply.tolerance, wanted.reply.tolerance);
    store(c.prefix.interval, wanted.prefix.interval);
    store(c.prefix.tolerance, wanted.prefix.tolerance);
    if (first) {
        // Nobody reads these before `abi` is set; later they never change.
        std::copy(std::begin(wanted.hash_key), std::end(wanted.hash_key), c.hash_key);
        c.keyring = first_keyring(epoch);
        c.epoch_shift = wanted.epoch_shift;
        c.flow_shift = static_cast<__u8>(std::bit_width(maps_->entries("sw_flows")) - 1);
        c.source_shift = static_cast<__u8>(std::bit_width(maps_->entries("sw_exact") / SW_GENERATIONS) - 1);
    }
    store(c.generation, generation);
    if (first) store(c.abi, __u32{SW_ABI_VERSION});
}

Result<void> LivePolicy::write(const CompiledPolicy& policy, std::uint64_t now) {
    auto old = read();
    if (!old) return tl::unexpected(old.error());
    const std::uint32_t generation = (old->config.generation & 1) ^ 1;
    write_services(policy, generation);
    if (auto done = write_addresses(policy.addresses, generation); !done) return done;
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        const sw_service& service = policy.services[i];
        if (!service.name[0] || std::string_view(service.name) == old->services[i].name) continue;
        if (auto done = reset_service(i); !done) return done;
        old->services[i].mode = SW_MODE_OFF;
    }
    prepare_states(policy, *old, static_cast<std::uint32_t>(now));
    store_config(policy.config, generation, static_cast<std::uint32_t>(now >> policy.config.epoch_shift));
    return {};
}

Result<void> LivePolicy::set_mode(unsigned service, sw_mode mode, std::uint64_t now) {
    sw_service& value = memory_.data()->services[load(memory_.data()->config.generation) & 1][service];
    // First, so that the service is not armed with a filter that is not complete.
    change_mode(*state(service), value.mode, mode, static_cast<std::uint32_t>(now));
    store(value.mode, static_cast<__u8>(mode));
    return {};
}

void LivePolicy::store_rotation(unsigned slot, const std::array<std::uint64_t, 2>& key, std::uint32_t since,
                                std::uint32_t active) {
    sw_keyring& ring = memory_.data()->config.keyring;
    store(ring.key[slot][0], static_cast<__u64>(key[0]));
    store(ring.key[slot][1], static_cast<__u64>(key[1]));
    sw_keyring named{};
    named.since = since;
    named.active = active;
    copy_word64(&ring.since, &named.since);
    // The programs' derived keys are of epochs before `since`: this only makes sure.
    store(ring.version, ring.version + 1 ? ring.version + 1 : 1);
}

void LivePolicy::renew_filter(unsigned shift) {
    sw_config& c = memory_.data()->config;
    const __u8 stamp = load(c.stamp);
    const std::uint32_t fresh = sw_stamp_generation(stamp) ^ 1;
    for (auto& word : memory_.data()->filter.bits) store(word[fresh], __u64{0});
    store(c.stamp, sw_stamp_renewed(stamp, fresh, SW_FILTER_SHIFT - shift));
}

FilterUse LivePolicy::filter_use() const {
    const __u8 stamp = load(memory_.data()->config.stamp);
    const std::uint32_t filled = sw_stamp_generation(stamp);
    FilterUse use{.shift = SW_FILTER_SHIFT - sw_stamp_less(stamp, filled),
                  .other_shift = SW_FILTER_SHIFT - sw_stamp_less(stamp, filled ^ 1)};
    const std::size_t words = (std::size_t{1} << use.shift) / 64;
    for (std::size_t i = 0; i < words; i++)
        use.bits += static_cast<unsigned>(std::popcount(load(memory_.data()->filter.bits[i][filled])));
    return use;
}

void LivePolicy::note_clsact(bool made) {
    __u64& user = memory_.data()->config.user;
    const __u64 others = load(user) & ~__u64{SW_USER_MADE_CLSACT};
    store(user, others | (made ? SW_USER_MADE_CLSACT : 0));
}

}  // namespace synward
