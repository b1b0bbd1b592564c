// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/instance.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <tuple>
#include <utility>

#include "lib/keys.h"
#include "lib/live_policy.h"
#include "lib/loader.h"
#include "lib/maps.h"
#include "lib/object.h"
#include "lib/source_lookup.h"
#include "lib/tc_filter.h"
#include "lib/ticks.h"
#include "lib/xdp_hook.h"

namespace synward {

struct Instance::Impl {
    Interface interface;
    Attachment attachment;
    HookedProgram hooked;
    std::shared_ptr<const MapSet> maps;
    LivePolicy policy;
    std::optional<TickClock> clock;        // made on first use
    std::optional<LoadedProgram> learner;  // likewise

    Result<std::uint64_t> now() {
        if (!clock) {
            auto made = TickClock::create();
            if (!made) return tl::unexpected(made.error());
            clock.emplace(std::move(*made));
        }
        return clock->now();
    }

    void distrust_filter(const CompiledPolicy& wanted, const CompiledPolicy& live);
    [[nodiscard]] unsigned fitting_shift() const;
};

namespace {

template <typename T>
T load_acquire(T& word) {
    return std::atomic_ref<T>(word).load(std::memory_order_acquire);
}

Result<std::shared_ptr<const MapSet>> checked_maps(const HookedProgram& hooked) {
    auto maps = MapSet::of_program(hooked.program.get());
    if (!maps) return tl::unexpected(maps.error());
    return std::make_shared<const MapSet>(std::move(*maps));
}

tl::unexpected<Error> no_service(const CompiledPolicy& policy, std::string_view name) {
    std::vector<std::string_view> names;
    for (const sw_service& s : policy.services)
        if (s.name[0]) names.emplace_back(s.name);
    return fail(ErrorCode::missing,
                names.empty()
                    ? fmt::format("there is no service '{}', and no other", name)
                    : fmt::format("there is no service '{}'; there are {}", name, fmt::join(names, ", ")));
}

// Reading a BPF iterator to its end is what makes it walk.
Result<Descriptor> start_walk(const LoadedProgram& program) {
    bpf_link* link = bpf_program__attach_iter(program.program(), nullptr);
    if (!link) return fail_errno(errno, "cannot attach the program that walks over the sockets");
    Descriptor iterator(bpf_iter_create(bpf_link__fd(link)));
    const int error = errno;
    bpf_link__destroy(link);
    if (!iterator) return fail_errno(error, "cannot start the walk over the sockets");
    return iterator;
}

Result<void> end_walk(const Descriptor& iterator) {
    char buffer[4096];
    for (;;) {
        const ssize_t got = read(iterator.get(), buffer, sizeof buffer);
        if (got == 0) return {};
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return fail_errno(errno, "the walk over the sockets was cut short");
    }
}

using StoredTicket = std::pair<sw_ticket_key, sw_ticket>;

// In batches, since walking by key begins anew where the table just lost the key.
Result<std::vector<StoredTicket>> read_tickets(const MapSet& maps, const Interface& interface) {
    const int fd = maps.fd("sw_tickets");
    if (fd < 0)
        return fail(ErrorCode::mismatch,
                    fmt::format("the program on {} keeps no tickets: it is of another version of synward; "
                                "unload it, and load it anew",
                                interface.name));
    const std::uint32_t most = std::max<std::uint32_t>(maps.entries("sw_tickets"), 1);
    std::vector<sw_ticket_key> keys(most);
    std::vector<sw_ticket> values(most);
    std::vector<StoredTicket> found;
    std::uint32_t at = 0;
    for (bool first = true;; first = false) {
        std::uint32_t count = most;
        const int error =
            bpf_map_lookup_batch(fd, first ? nullptr : &at, &at, keys.data(), values.data(), &count, nullptr);
        if (error && error != -ENOENT) return fail_errno(-error, "cannot read the map sw_tickets");
        for (std::uint32_t i = 0; i < count; i++) found.emplace_back(keys[i], values[i]);
        if (error) return found;
    }
}

TicketEntry ticket_entry(const sw_ticket_key& key, const sw_ticket& value, std::chrono::milliseconds left) {
    TicketEntry entry;
    entry.service = key.service;
    entry.doubt = static_cast<sw_doubt>(key.doubt);
    entry.action = static_cast<sw_action>(value.action);
    entry.decider = value.decider;
    entry.left = left;
    if (entry.doubt == SW_DOUBT_SHAPE) {
        static_assert(sizeof entry.shape == sizeof key.subject);
        std::memcpy(&entry.shape, key.subject, sizeof entry.shape);
        return entry;
    }
    entry.source.family = key.family == SW_IPV6 ? SW_IPV6 : SW_IPV4;
    std::memcpy(entry.source.bytes.data(), key.subject, entry.source.bits() / 8);
    return entry;
}

std::uint64_t memlock_of(int fd) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
    std::string key;
    for (std::uint64_t value = 0; info >> key;) {
        if (key == "memlock:" && info >> value) return value;
        info.ignore(4096, '\n');
    }
    return 0;
}

}  // namespace

std::string_view attach_mode_name(AttachMode mode) {
    switch (mode) {
        case AttachMode::native:
            return "native";
        case AttachMode::generic:
            return "generic";
        case AttachMode::offload:
            return "offload";
        case AttachMode::dispatcher:
            return "dispatcher";
    }
    return "unknown";
}

std::string generic_text(const Attachment& attachment, const Interface& interface) {
    if (attachment.mode != AttachMode::generic) return {};
    std::string text = "generic mode is several times slower than the driver's own";
    if (!attachment.generic_why.empty()) text += "; " + attachment.generic_why;
    if (interface.mtu > most_native_mtu)
        text += fmt::format("; an MTU of {} is more than most drivers take with native XDP ({})",
                            interface.mtu, most_native_mtu);
    return text;
}

Instance::Instance(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;
Instance::~Instance() = default;

const Interface& Instance::interface() const {
    return impl_->interface;
}
const Attachment& Instance::attachment() const {
    return impl_->attachment;
}
sw_config Instance::config() const {
    return impl_->policy.config();
}
int Instance::map_fd(std::string_view name) const {
    return impl_->maps->fd(name);
}
int Instance::program_fd() const {
    return impl_->hooked.program.get();
}

Result<Instance> Instance::find(const Interface& interface) {
    auto hooked = query_xdp(interface);
    if (!hooked) return tl::unexpected(hooked.error());
    if (!*hooked)
        return fail(ErrorCode::missing,
                    fmt::format("synward is not on {}; put it there with `synward load {}`", interface.name,
                                interface.name));
    auto maps = checked_maps(**hooked);
    if (!maps) return tl::unexpected(maps.error());
    auto policy = LivePolicy::create(*maps);
    if (!policy) return tl::unexpected(policy.error());
    if (const std::uint32_t abi = policy->config().abi; abi && abi != SW_ABI_VERSION)
        return fail(
            ErrorCode::mismatch,
            fmt::format("synward on {} has ABI version {}, this is version {}; unload it with the version "
                        "that loaded it, or with `ip link set dev {} xdp off`",
                        interface.name, abi, SW_ABI_VERSION, interface.name));
    Attachment attachment{.program_id = (*hooked)->id, .mode = (*hooked)->mode, .adopted = true};
    const auto tc = tc_attached(interface);
    if (!tc) return tl::unexpected(tc.error());
    attachment.tc = *tc;
    auto impl = std::unique_ptr<Impl>(new Impl{interface, attachment, std::move(**hooked), *maps,
                                               std::move(*policy), std::nullopt, std::nullopt});
    return Instance(std::move(impl));
}

Result<Instance> Instance::open(const Interface& interface, const LoadOptions& options) {
    const auto object = find_object(options.object);
    auto found = find(interface);
    if (found) {
        // What is attached goes on; only a new tc program needs the object.
        if (!object && found->attachment().tc) return found;
    } else if (found.error().code != ErrorCode::missing) {
        return found;
    }
    if (!object) return tl::unexpected(object.error());
    if (!interface.ethernet)
        return fail(
            ErrorCode::unsupported,
            fmt::format("{} has no Ethernet headers (a tunnel, tun or the loopback device), which the "
                        "program reads: protect the device that the packets come by",
                        interface.name));
    if (!found) {
        auto loaded = LoadedProgram::with_own_maps(*object, SW_PROGRAM_XDP, options.flows, options.sources);
        if (!loaded) return tl::unexpected(loaded.error());
        std::string generic_why;
        const auto mode = attach_xdp(interface, loaded->fd(), options.generic, generic_why);
        if (!mode) return tl::unexpected(mode.error());
        found = find(interface);
        if (!found) {
            // By our own descriptor: to find a program by its id may be what failed.
            (void)detach_xdp(interface, {Descriptor(dup(loaded->fd())), 0, *mode});
            return found;
        }
        found->impl_->attachment.adopted = false;
        found->impl_->attachment.generic_why = generic_why;
    }
    if (auto done = found->attach_companion(*object); !done) {
        // Half of synward is worse than none: a validated ACK would find no socket.
        if (!found->attachment().adopted) (void)unload(interface);
        return tl::unexpected(done.error());
    }
    return found;
}

Result<void> Instance::attach_companion(const std::string& object) {
    auto companion = LoadedProgram::with_maps(object, SW_PROGRAM_TC, *impl_->maps);
    if (!companion) return tl::unexpected(companion.error());
    const auto made = attach_tc(impl_->interface, companion->fd());
    if (!made) return tl::unexpected(made.error());
    if (*made) impl_->policy.note_clsact(true);
    impl_->attachment.tc = true;
    return {};
}

Result<void> Instance::unload(const Interface& interface) {
    auto hooked = query_xdp(interface);
    // Of a foreign program, or one of another version, our tc filter can still go.
    const bool ours = hooked && *hooked;
    bool clsact = false;
    if (ours) {
        if (const auto maps = checked_maps(**hooked))
            if (const auto policy = LivePolicy::create(*maps))
                clsact = policy->config().user & SW_USER_MADE_CLSACT;
        // XDP first: ACKs that it has let through still find their request socket.
        if (auto done = detach_xdp(interface, **hooked); !done) return done;
    }
    const auto tc = detach_tc(interface, clsact);
    if (!tc) return tl::unexpected(tc.error());
    if (ours || *tc) return {};
    if (!hooked) return tl::unexpected(hooked.error());
    return fail(ErrorCode::missing,
                fmt::format("synward is not on {}; there is nothing to unload", interface.name));
}

bool Instance::alive() const {
    const auto hooked = query_xdp(impl_->interface);
    return hooked && *hooked && (*hooked)->id == impl_->attachment.program_id;
}

Result<InterfaceLock> Instance::lock(InterfaceLock::Part part) const {
    auto lock = InterfaceLock::take(interface(), part);
    if (lock && !alive())
        return fail(ErrorCode::missing,
                    fmt::format("synward was taken off {} or loaded anew meanwhile; nothing was changed",
                                interface().name));
    return lock;
}

// Where connections came into being unseen, "never seen" means nothing without a fresh walk:
// frames to the address that the interface has now passed under the policy in force, and what
// is behind a gateway has other tracks in the kernel than what is here.
void Instance::Impl::distrust_filter(const CompiledPolicy& wanted, const CompiledPolicy& live) {
    const bool moved =
        live.config.flags & SW_FLAG_CHECK_MAC &&
        !std::equal(std::begin(live.config.mac), std::end(live.config.mac), std::begin(wanted.config.mac));
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        const sw_service& service = wanted.services[i];
        const bool turned =
            (service.delivery == SW_DELIVERY_SYNPROXY) != (live.services[i].delivery == SW_DELIVERY_SYNPROXY);
        sw_state& state = *policy.state(i);
        if (service.name[0] && (moved || turned) &&
            (service.mode == SW_MODE_COOKIE || load_acquire(state.armed)))
            std::atomic_ref(state.armings).fetch_add(1);
    }
}

Result<void> Instance::apply(const CompiledPolicy& policy) {
    // They are written later, but then there is no way back.
    if (auto fits = check_capacity(*impl_->maps, policy.sources); !fits) return fits;
    const auto before = impl_->policy.read();
    if (!before) return tl::unexpected(before.error());
    const auto now = impl_->now();
    if (!now) return tl::unexpected(now.error());
    if (before->config.abi) impl_->distrust_filter(policy, *before);
    return impl_->policy.write(policy, *now);
}

Result<SourceMaps> Instance::sources() const {
    return SourceMaps::open(impl_->maps);
}

std::uint32_t Instance::source_capacity() const {
    return synward::source_capacity(*impl_->maps);
}

Result<std::optional<SourceEntry>> Instance::find_source(const Address& address) const {
    const auto lookup = SourceLookup::open(*impl_->maps);
    if (!lookup) return tl::unexpected(lookup.error());
    return lookup->find(address);
}

Result<std::vector<SourceEntry>> Instance::find_source_ports(const Address& address,
                                                             std::span<const std::uint16_t> ports) const {
    const auto lookup = SourceLookup::open(*impl_->maps);
    if (!lookup) return tl::unexpected(lookup.error());
    std::vector<SourceEntry> entries;
    for (const std::uint16_t port : ports) {
        const auto entry = lookup->find_port(address, port);
        if (!entry) return tl::unexpected(entry.error());
        if (*entry) entries.push_back(**entry);
    }
    return entries;
}

std::array<std::uint32_t, SW_FATE_COUNT> Instance::count_sources() const {
    return impl_->policy.count_sources();
}

Result<CompiledPolicy> Instance::read_policy() const {
    return impl_->policy.read();
}

Result<void> Instance::set_mode(std::string_view service, sw_mode mode) {
    const auto policy = impl_->policy.read();
    if (!policy) return tl::unexpected(policy.error());
    const unsigned index = policy->find(service);
    if (!index) return no_service(*policy, service);
    const auto now = impl_->now();
    if (!now) return tl::unexpected(now.error());
    return impl_->policy.set_mode(index, mode, *now);
}

Result<Rotation> Instance::rotate_keys() {
    const sw_config live = config();
    if (!live.abi)
        return fail(ErrorCode::missing,
                    fmt::format("{} has no policy and so no keys to rotate", impl_->interface.name));
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    const auto plan = plan_rotation(live.keyring, static_cast<std::uint32_t>(*ticks >> live.epoch_shift));
    if (plan) impl_->policy.store_rotation(plan->slot, plan->key, plan->since, plan->active);
    return Rotation{plan.has_value(), key_times(config().keyring, *ticks, live.epoch_shift, live.hz)};
}

// The filter's protocol. Two generations count: the one that the previous walk
// began and the one that this walk begins. So a connection put in just before the
// walk, whose socket came just after it, is still covered, and a bit dies with the
// second walk that no longer finds its socket.
Result<unsigned> Instance::learn(const std::string& object, Filter filter) {
    const auto policy = impl_->policy.read();
    if (!policy) return tl::unexpected(policy.error());
    // What is forwarded has no sockets: no walk can complete the filter for that.
    const auto walked = [&](const sw_service& s) { return s.name[0] && s.delivery != SW_DELIVERY_SYNPROXY; };
    if (!policy->config.abi || std::ranges::none_of(policy->services, walked)) return 0;
    if (!impl_->learner) {
        auto path = find_object(object);
        if (!path) return tl::unexpected(path.error());
        auto loaded = LoadedProgram::with_maps(*path, SW_PROGRAM_LEARN, *impl_->maps);
        if (!loaded) return tl::unexpected(loaded.error());
        impl_->learner.emplace(std::move(*loaded));
    }
    std::array<std::uint32_t, SW_SERVICES> armings{};
    for (unsigned i = 1; i < SW_SERVICES; i++) armings[i] = load_acquire(impl_->policy.state(i)->armings);

    const auto walk = start_walk(*impl_->learner);  // first: should it fail, nothing was cleared
    if (!walk) return tl::unexpected(walk.error());
    if (filter != Filter::keep)
        impl_->policy.renew_filter(filter == Filter::fit ? impl_->fitting_shift() : SW_FILTER_SHIFT);
    if (auto done = end_walk(*walk); !done) return tl::unexpected(done.error());

    unsigned gained = 0;
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        sw_state& state = *impl_->policy.state(i);
        if (!walked(policy->services[i]) || load_acquire(state.trusted) == armings[i]) continue;
        std::atomic_ref(state.trusted).store(armings[i], std::memory_order_release);
        gained++;
    }
    return gained;
}

FilterUse Instance::filter_use() const {
    return impl_->policy.filter_use();
}

// By the sockets that there are, and by what was put in since the last walk.
unsigned Instance::Impl::fitting_shift() const {
    const FilterUse use = policy.filter_use();
    return next_filter_shift(use.shift, std::max(count_sockets(), estimate_connections(use.bits, use.shift)));
}

Result<Stats> Instance::stats() const {
    const auto policy = impl_->policy.read();
    if (!policy) return tl::unexpected(policy.error());
    std::vector<sw_stats> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    Stats stats;
    for (std::uint32_t i = 0; i < SW_SERVICES; i++) {
        if (i && !policy->services[i].name[0]) continue;
        if (const int error = bpf_map_lookup_elem(impl_->maps->fd("sw_stats"), &i, cpus.data()))
            return fail_errno(-error, "cannot read the map sw_stats");
        ServiceStats service{.index = i, .name = policy->services[i].name};
        for (const sw_stats& cpu : cpus)
            for (unsigned reason = 0; reason < SW_REASON_COUNT; reason++)
                service.packets[reason] += cpu.packets[reason];
        stats.services.push_back(std::move(service));
    }
    return stats;
}

Result<std::vector<ServiceState>> Instance::states() const {
    const auto policy = impl_->policy.read();
    if (!policy) return tl::unexpected(policy.error());
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    const sw_config& config = policy->config;
    const auto tick = static_cast<std::uint32_t>(*ticks);
    const std::uint32_t window = tick >> config.window_shift;
    auto rate = [&](std::uint32_t syns) {
        return static_cast<std::uint32_t>((std::uint64_t{syns} * config.hz) >> config.window_shift);
    };
    std::vector<ServiceState> states(SW_SERVICES);
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        const sw_service& service = policy->services[i];
        sw_state& live = *impl_->policy.state(i);
        ServiceState& s = states[i];
        s.index = i;
        s.armings = load_acquire(live.armings);
        s.trusted = load_acquire(live.trusted) == s.armings;
        s.armed = service.mode == SW_MODE_COOKIE ||
                  (load_acquire(live.armed) &&
                   sw_ticks_within(tick, load_acquire(live.armed_at), service.hold_ticks));
        // A window that nobody closed for long means that nothing came.
        const std::uint32_t counted = load_acquire(live.window);
        if (counted == window)
            s.syn_rate = rate(load_acquire(live.last_syns));
        else if (counted + 1 == window)
            s.syn_rate = rate(load_acquire(live.syns));
        s.peak_rate = rate(load_acquire(live.peak_syns));
    }
    return states;
}

Result<void> Instance::write_tickets(std::span<const Ticket> tickets) {
    if (tickets.empty()) return {};
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    const std::uint64_t hz = std::max(1u, impl_->clock->hz());
    for (const Ticket& ticket : tickets) {
        const auto life = static_cast<std::uint64_t>(std::max<std::int64_t>(ticket.lifetime.count(), 0));
        sw_ticket value{};
        const std::uint64_t until = *ticks + life * hz / 1000 + 1;
        value.until = static_cast<__u32>(until);
        value.until_high = static_cast<__u16>(until >> 32);
        value.action = static_cast<__u8>(ticket.action);
        value.decider = ticket.decider;
        if (const int error = bpf_map_update_elem(map_fd("sw_tickets"), &ticket.key, &value, BPF_ANY))
            return fail_errno(-error, "cannot write the map sw_tickets");
    }
    return {};
}

Result<std::vector<TicketView>> Instance::tickets_of(const Address& source) const {
    const auto policy = read_policy();
    if (!policy) return tl::unexpected(policy.error());
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    std::vector<TicketView> found;
    for (unsigned service = 1; service < SW_SERVICES; service++) {
        if (!policy->services[service].name[0]) continue;
        for (unsigned doubt = 0; doubt < SW_DOUBT_COUNT; doubt++) {
            if (doubt == SW_DOUBT_SHAPE) continue;
            sw_ticket_key key{};
            std::memcpy(key.subject, source.bytes.data(), source.bits() / 8);
            key.doubt = static_cast<__u8>(doubt);
            key.family = static_cast<__u8>(source.family);
            key.service = static_cast<__u16>(service);
            sw_ticket value{};
            if (bpf_map_lookup_elem(map_fd("sw_tickets"), &key, &value)) continue;
            const auto left = static_cast<std::int64_t>(sw_ticket_until(&value) - *ticks);
            if (left <= 0) continue;
            found.push_back({service, static_cast<sw_doubt>(doubt), static_cast<sw_action>(value.action),
                             value.decider,
                             std::chrono::milliseconds(left * 1000 / std::max(1u, impl_->clock->hz()))});
        }
    }
    return found;
}

Result<std::vector<TicketEntry>> Instance::tickets() const {
    auto all = read_tickets(*impl_->maps, interface());
    if (!all) return tl::unexpected(all.error());
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    std::vector<TicketEntry> found;
    for (const auto& [key, value] : *all)
        if (const auto left = static_cast<std::int64_t>(sw_ticket_until(&value) - *ticks); left > 0)
            found.push_back(ticket_entry(
                key, value, std::chrono::milliseconds(left * 1000 / std::max(1u, impl_->clock->hz()))));
    std::ranges::sort(found, {}, [](const TicketEntry& t) { return std::tie(t.service, t.doubt, t.source); });
    return found;
}

Result<std::uint32_t> Instance::delete_tickets(const std::optional<Prefix>& sources) {
    auto all = read_tickets(*impl_->maps, interface());
    if (!all) return tl::unexpected(all.error());
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    std::uint32_t deleted = 0;
    for (const auto& [key, value] : *all) {
        if (sources &&
            (key.doubt == SW_DOUBT_SHAPE || !sources->contains(ticket_entry(key, value, {}).source)))
            continue;
        const int error = bpf_map_delete_elem(map_fd("sw_tickets"), &key);
        // Another one may have needed its place.
        if (error && error != -ENOENT) return fail_errno(-error, "cannot delete from the map sw_tickets");
        if (!error && sw_ticket_until(&value) > *ticks) deleted++;
    }
    return deleted;
}

Result<std::uint64_t> Instance::count_flows() const {
    const std::uint32_t sets = impl_->maps->entries("sw_flows");
    const auto flows = MappedArray<sw_flow_set>::create(impl_->maps->fd("sw_flows"), sets, "sw_flows");
    if (!flows) return tl::unexpected(flows.error());
    std::uint64_t count = 0;
    for (std::uint32_t set = 0; set < sets; set++)
        for (__u64& entry : flows->data()[set].entry)
            count += std::atomic_ref(entry).load(std::memory_order_relaxed) != 0;
    return count;
}

std::vector<MapView> Instance::maps() const {
    std::vector<MapView> views;
    for (const auto& [name, map] : impl_->maps->all()) {
        const std::uint64_t told = memlock_of(map.fd.get());
        // Before Linux 6.4 the kernel tells what a map could take at most; a trie takes what is in it.
        const std::uint64_t most =
            std::uint64_t{map.info.max_entries} * (map.info.key_size + map.info.value_size);
        const bool tells = map.info.type != BPF_MAP_TYPE_LPM_TRIE || told < most;
        views.push_back({name, map.info.max_entries, tells ? told : 0});
    }
    return views;
}

Result<std::uint64_t> Instance::memory() const {
    std::uint64_t bytes = 0;
    for (const MapView& map : maps()) bytes += map.bytes;
    return bytes;
}

Result<std::chrono::seconds> Instance::key_age() const {
    const sw_config live = config();
    const auto ticks = impl_->now();
    if (!ticks) return tl::unexpected(ticks.error());
    const auto epoch = static_cast<std::uint32_t>(*ticks >> live.epoch_shift);
    // Serial arithmetic: the epoch may wrap.
    const auto epochs = static_cast<std::int32_t>(epoch - live.keyring.since);
    return std::chrono::seconds((std::int64_t{epochs} << live.epoch_shift) / std::max(1u, live.hz));
}

}  // namespace synward
