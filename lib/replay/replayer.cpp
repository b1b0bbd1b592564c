// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/replay/replayer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "lib/live_policy.h"
#include "lib/loader.h"
#include "lib/maps.h"
#include "lib/object.h"
#include "lib/replay/world.h"
#include "lib/source_maps.h"
#include "lib/ticks.h"
#include "xdp/hash.h"

namespace synward::replay {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::size_t headroom = 512;  // a reply may be longer than the SYN, and has metadata before it

std::int64_t wall_clock() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * second + now.tv_nsec;
}

Result<void> copy_array(int from, int to, const bpf_map_info& info) {
    const std::size_t bytes = std::size_t{info.max_entries} * ((info.value_size + 7) / 8 * 8);
    auto source = MappedArray<std::uint64_t>::create(from, bytes / 8, info.name);
    if (!source) return tl::unexpected(source.error());
    auto target = MappedArray<std::uint64_t>::create(to, bytes / 8, info.name);
    if (!target) return tl::unexpected(target.error());
    std::copy_n(source->data(), bytes / 8, target->data());
    return {};
}

Result<void> copy_hash(int from, int to, const bpf_map_info& info) {
    std::vector<std::uint8_t> key(info.key_size), next(info.key_size), value(info.value_size);
    const void* before = nullptr;
    while (bpf_map_get_next_key(from, before, next.data()) == 0) {
        key = next;
        before = key.data();
        // Gone meanwhile, if it fails.
        if (bpf_map_lookup_elem(from, key.data(), value.data())) continue;
        if (const int error = bpf_map_update_elem(to, key.data(), value.data(), BPF_ANY))
            return fail_errno(-error, fmt::format("cannot write a copy of the map {}", info.name));
    }
    return {};
}

}  // namespace

struct Replayer::Impl {
    LoadedProgram program;
    std::shared_ptr<const MapSet> maps;
    MappedArray<sw_memory> memory;
    MappedArray<sw_flow_set> flows;
    CompiledPolicy policy{};
    World world;
    unsigned interface = 0;
    unsigned cpu = 0;
    unsigned hz = 250;
    std::uint64_t start_tick = 0;
    std::optional<std::int64_t> start{};  // time of the first packet
    std::uint64_t tick = 0;
    std::vector<sw_stats> cpus{};
    std::array<sw_stats, SW_SERVICES> counted{};
    std::vector<unsigned> services{};  // there is a policy for
    std::vector<std::uint8_t> output{};
    std::vector<std::uint8_t> frame{};

    static Result<Impl> create(const ReplayerOptions& options);
    Result<void> begin(const ReplayerOptions& options);
    void wind(std::int64_t time);
    [[nodiscard]] unsigned service_of(const View& view) const;
    bool look(unsigned service, Outcome& outcome);
    Result<void> find_reason(unsigned guess, Outcome& outcome);
};

Replayer::Replayer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replayer::Replayer(Replayer&&) noexcept = default;
Replayer& Replayer::operator=(Replayer&&) noexcept = default;
Replayer::~Replayer() = default;

const CompiledPolicy& Replayer::policy() const {
    return impl_->policy;
}

Result<Replayer::Impl> Replayer::Impl::create(const ReplayerOptions& options) {
    auto object = find_object(options.object);
    if (!object) return tl::unexpected(object.error());
    const auto path = std::filesystem::path(*object).parent_path() / "synward-replay.bpf.o";
    auto clock = TickClock::create();
    if (!clock) return tl::unexpected(clock.error());
    const auto now = clock->now();
    if (!now) return tl::unexpected(now.error());
    auto program =
        LoadedProgram::with_own_maps(path.string(), SW_PROGRAM_XDP, options.flows, options.sources);
    if (!program) return tl::unexpected(program.error());
    auto found = MapSet::of_program(program->fd());
    if (!found) return tl::unexpected(found.error());
    auto maps = std::make_shared<const MapSet>(std::move(*found));
    auto memory = MappedArray<sw_memory>::create(maps->fd("sw_memory"), 1, "sw_memory");
    if (!memory) return tl::unexpected(memory.error());
    auto flows =
        MappedArray<sw_flow_set>::create(maps->fd("sw_flows"), maps->entries("sw_flows"), "sw_flows");
    if (!flows) return tl::unexpected(flows.error());
    return Impl{.program = std::move(*program),
                .maps = std::move(maps),
                .memory = std::move(*memory),
                .flows = std::move(*flows),
                .world = {},
                .interface = options.interface,
                .hz = clock->hz(),
                .start_tick = *now};
}

// The policy is there: what the replay wants otherwise.
Result<void> Replayer::Impl::begin(const ReplayerOptions& options) {
    sw_memory& m = *memory.data();
    for (auto& generation : m.services)
        for (sw_service& service : generation)
            if (service.name[0] && options.mode) service.mode = static_cast<__u8>(*options.mode);
    for (sw_state& state : m.state) {
        // Nobody has walked over the sockets: the program asks, as it does just after arming.
        state = {};
        state.armings = 1;
    }
    std::copy_n(m.services[m.config.generation & 1], SW_SERVICES, policy.services.begin());
    for (unsigned i = 1; i < SW_SERVICES; i++)
        if (policy.services[i].name[0]) services.push_back(i);
    cpus.resize(static_cast<std::size_t>(libbpf_num_possible_cpus()));

    // The counters and budgets of one CPU are looked at.
    cpu = static_cast<unsigned>(sched_getcpu());
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) return fail_errno(errno, "cannot stay on one CPU");
    if (interface) return {};
    auto made = World::enter();
    if (!made) return tl::unexpected(made.error());
    world = std::move(*made);
    return {};
}

Result<Replayer> Replayer::of_policy(const CompiledPolicy& policy, const ReplayerOptions& options) {
    auto impl = Impl::create(options);
    if (!impl) return tl::unexpected(impl.error());
    auto live = LivePolicy::create(impl->maps);
    if (!live) return tl::unexpected(live.error());
    if (auto done =
            live->write(policy, static_cast<std::uint32_t>(impl->start_tick >> policy.config.epoch_shift));
        !done)
        return tl::unexpected(done.error());
    auto sources = SourceMaps::open(impl->maps);
    if (!sources) return tl::unexpected(sources.error());
    if (auto done = sources->replace(policy.sources); !done) return tl::unexpected(done.error());
    impl->policy = policy;
    if (auto done = impl->begin(options); !done) return tl::unexpected(done.error());
    return Replayer(std::make_unique<Impl>(std::move(*impl)));
}

Result<Replayer> Replayer::of_instance(const Instance& instance, const ReplayerOptions& wanted) {
    auto policy = instance.read_policy();
    if (!policy) return tl::unexpected(policy.error());
    ReplayerOptions options = wanted;
    options.sources = instance.source_capacity();
    options.flows = (1u << instance.config().flow_shift) * SW_FLOW_WAYS;
    auto impl = Impl::create(options);
    if (!impl) return tl::unexpected(impl.error());
    for (const auto& [name, map] : impl->maps->all()) {
        const int from = instance.map_fd(name);
        // Counters and events begin anew, and what one CPU remembers is soon known again.
        if (from < 0 || name == "sw_stats" || name == "sw_events" || name == "sw_cpu") continue;
        const auto done = map.info.type == BPF_MAP_TYPE_ARRAY ? copy_array(from, map.fd.get(), map.info)
                                                              : copy_hash(from, map.fd.get(), map.info);
        if (!done) return tl::unexpected(done.error());
    }
    impl->policy = std::move(*policy);
    if (auto done = impl->begin(options); !done) return tl::unexpected(done.error());
    return Replayer(std::make_unique<Impl>(std::move(*impl)));
}

void Replayer::Impl::wind(std::int64_t time) {
    if (!start) {
        start = time;
        const std::int64_t age = std::max<std::int64_t>(0, wall_clock() - time) / second;
        const std::uint64_t ticks = static_cast<std::uint64_t>(age) * hz;
        // Since this machine was started its cookies have had one clock.
        if (ticks < start_tick) start_tick -= ticks;
    }
    const std::int64_t passed = std::max<std::int64_t>(0, time - *start);
    const std::uint64_t ticks = static_cast<std::uint64_t>(passed / second) * hz +
                                static_cast<std::uint64_t>(passed % second) * hz / second;
    tick = std::max(tick, start_tick + ticks);
    std::atomic_ref(memory.data()->config.user).store(tick, std::memory_order_relaxed);
}

unsigned Replayer::Impl::service_of(const View& view) const {
    if (!view.tcp) return 0;
    const unsigned service = policy.ports[view.packet.destination_port];
    if (service != SW_PORT_BY_ADDRESS) return service < SW_SERVICES ? service : 0;
    for (const AddressEntry& entry : policy.addresses)
        if (entry.port == view.packet.destination_port && entry.address.family == view.packet.family &&
            std::memcmp(entry.address.bytes.data(), view.packet.destination.data(), 16) == 0)
            return entry.service;
    return 0;
}

// Every packet moves one counter by one.
bool Replayer::Impl::look(unsigned service, Outcome& outcome) {
    const std::uint32_t key = service;
    if (bpf_map_lookup_elem(maps->fd("sw_stats"), &key, cpus.data())) return false;
    const sw_stats& now = cpus[cpu];
    for (unsigned reason = 0; reason < SW_REASON_COUNT; reason++) {
        if (now.packets[reason] == counted[service].packets[reason]) continue;
        counted[service] = now;
        outcome.service = service;
        outcome.reason = static_cast<sw_reason>(reason);
        return true;
    }
    return false;
}

Result<void> Replayer::Impl::find_reason(unsigned guess, Outcome& outcome) {
    if (look(guess, outcome) || (guess && look(0, outcome))) return {};
    for (const unsigned service : services)
        if (look(service, outcome)) return {};
    return fail(ErrorCode::mismatch,
                "the program counted no reason for a packet; it is of another version of synward");
}

Result<Outcome> Replayer::run(std::span<const std::uint8_t> bytes, const View& view, std::int64_t time) {
    Impl& r = *impl_;
    r.wind(time);
    const unsigned guess = r.service_of(view);
    if (guess && !r.interface)
        if (auto done = r.world.listen(view.packet.destination_port); !done)
            return tl::unexpected(done.error());
    r.output.resize(bytes.size() + headroom);
    xdp_md in{}, seen{};
    in.data_end = static_cast<std::uint32_t>(bytes.size());
    in.ingress_ifindex = r.interface;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(), .data_out = r.output.data(),
                .data_size_in = static_cast<std::uint32_t>(bytes.size()),
                .data_size_out = static_cast<std::uint32_t>(r.output.size()), .ctx_in = &in, .ctx_out = &seen,
                .ctx_size_in = sizeof in, .ctx_size_out = sizeof seen, .repeat = 1);
    Outcome outcome;
    if (const int error = bpf_prog_test_run_opts(r.program.fd(), &options)) {
        if (error != -EINVAL && error != -ENOMEM && error != -E2BIG)
            return fail_errno(-error, "cannot run a packet through the program");
        outcome.refused = true;
        return outcome;
    }
    outcome.action = options.retval;
    if (auto done = r.find_reason(guess, outcome); !done) return tl::unexpected(done.error());
    const std::span<const std::uint8_t> left(r.output.data(), options.data_size_out);
    const std::size_t data = std::min<std::size_t>(seen.data, left.size());
    if (data >= sizeof(sw_metadata)) {
        sw_metadata metadata{};
        std::memcpy(&metadata, left.data() + data - sizeof metadata, sizeof metadata);
        outcome.escalated = metadata.magic == SW_METADATA_MAGIC && metadata.class_ == SW_CLASS_ESCALATE;
    }
    if (outcome.action == XDP_TX) outcome.reply = left.subspan(data);
    return outcome;
}

void Replayer::know(const View& view) {
    const FlowEvent& p = view.packet;
    __u64 source[2], destination[2];
    std::memcpy(source, p.source.data(), sizeof source);
    std::memcpy(destination, p.destination.data(), sizeof destination);
    const __u32 ports = htons(p.source_port) | __u32{htons(p.destination_port)} << 16;
    const sw_config& config = impl_->memory.data()->config;
    const __u64 hash = hash_flow(config.hash_key, source, destination, ports, p.family);
    sw_flow_set& set = impl_->flows.data()[hash >> 32 >> (32 - (config.flow_shift & 31))];
    __u64* place = &set.entry[sw_flow_way(hash)];
    // In place of the same one, else a free one, else whatever is there.
    for (__u64& entry : set.entry)
        if (!entry) place = &entry;
    for (__u64& entry : set.entry)
        if (static_cast<__u32>(entry) == static_cast<__u32>(hash)) place = &entry;
    *place = sw_flow_entry(static_cast<__u32>(hash), 0, SW_FLOW_CONFIRMED, static_cast<__u32>(impl_->tick));
}

}  // namespace synward::replay
