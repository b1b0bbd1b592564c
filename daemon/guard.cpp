// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/guard.h"

#include <fmt/ranges.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>

#include "daemon/log.h"
#include "daemon/readjust.h"
#include "lib/host.h"
#include "lib/interface.h"
#include "lib/local_services.h"
#include "lib/names.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// For another writer, while all else waits: a command that loads the programs takes seconds.
constexpr auto lock_patience = 5s;
constexpr auto short_lock_patience = 500ms;
// A connection is put into the filter before it has a socket, and a walk finds only sockets. It
// lives through one renewal, so that two must not follow each other at once.
constexpr auto shortest_generation = 4s;

}  // namespace

std::string_view guard_state_name(Guard::State state) {
    switch (state) {
        case Guard::State::absent:
            return "absent";
        case Guard::State::failed:
            return "failed";
        case Guard::State::detached:
            return "detached";
        case Guard::State::protecting:
            return "protecting";
    }
    return "unknown";
}

Guard::Guard(std::string name, EventLoop& loop, Sink sink)
    : name_(std::move(name)), loop_(&loop), sink_(std::move(sink)) {}

Guard::~Guard() {
    if (watch_) loop_->forget(watch_);
}

// Lets go of descriptors only: what is in the kernel stays.
void Guard::drop(State state, std::string problem) {
    if (watch_) loop_->forget(std::exchange(watch_, 0));
    events_.reset();
    instance_.reset();
    notes_.clear();
    behind_ = blocked_ = false;
    owed_.reset();
    complete_ = false;
    renewed_ = {};
    state_ = state;
    problem_ = std::move(problem);
}

Result<void> Guard::protect(const Config& config) {
    const auto interface = find_interface(name_);
    if (!interface) {
        if (interface.error().code != ErrorCode::missing) {
            drop(State::failed, interface.error().message);
            return tl::unexpected(interface.error());
        }
        if (state_ != State::absent || problem_.empty())
            spdlog::warn("{}: there is no such interface yet; it is protected when it appears", name_);
        drop(State::absent, "there is no such interface");
        return {};
    }
    auto done = attach(config, *interface);
    if (!done) {
        const bool blocked = blocked_;
        drop(State::failed, done.error().message);
        blocked_ = blocked;
    }
    // libbpf has parsed the kernel's types, which took megabytes.
    malloc_trim(0);
    return done;
}

Result<void> Guard::attach(const Config& config, const Interface& interface) {
    drop(State::failed, {});
    object_ = config.daemon.object;
    {
        const auto lock = InterfaceLock::take(interface, InterfaceLock::Part::policy, lock_patience);
        blocked_ = !lock;
        if (!lock) return tl::unexpected(lock.error());
        auto instance = Instance::open(interface, {.object = object_,
                                                   .flows = config.limits.flows,
                                                   .sources = config.limits.sources,
                                                   .generic = config.daemon.generic});
        if (!instance) return tl::unexpected(instance.error());
        instance_.emplace(std::move(*instance));
    }

    const Attachment& attachment = instance_->attachment();
    spdlog::info("{}: {} program {} in {} mode", name_, attachment.adopted ? "adopted" : "attached",
                 attachment.program_id, attach_mode_name(attachment.mode));
    if (instance_->source_capacity() < config.limits.sources)
        spdlog::warn(
            "{}: the program was loaded with room for {} single addresses, limits.sources is {}; to have "
            "that, "
            "load it anew (synward unload, then start)",
            name_, instance_->source_capacity(), config.limits.sources);
    if (const std::string slow = generic_text(attachment, interface); !slow.empty())
        spdlog::warn("{}: {}", name_, slow);
    state_ = State::protecting;
    auto policy = compile(config);
    if (!policy) return tl::unexpected(policy.error());
    if (auto done = enforce(**policy); !done) return done;
    return read_events();
}

Config Guard::effective(const Config& config) const {
    return listeners_ ? listeners_->effective(config, name_) : config;
}

std::string Guard::not_protected() const {
    return fmt::format("{} is not protected: {}", name_, problem_);
}

Result<InterfaceLock> Guard::lock() const {
    return InterfaceLock::take(instance_->interface(), InterfaceLock::Part::policy, lock_patience);
}

// Short for what is tried again a second later, and none for what was: all else waits meanwhile.
std::chrono::milliseconds Guard::patience() const {
    return behind_ || owed_ ? 0ms : short_lock_patience;
}

std::optional<InterfaceLock> Guard::lock_or_later() {
    auto lock = InterfaceLock::take(instance_->interface(), InterfaceLock::Part::policy, patience());
    if (lock) return std::move(*lock);
    if (!std::exchange(behind_, true))
        spdlog::warn("{}: {}; a change of the policy waits for it", name_, lock.error().message);
    return {};
}

void Guard::services_changed(const Config& config) {
    if (!instance_) return;
    if (const auto lock = lock_or_later())
        change_services(config, *lock);
    else
        return;
    learn(false);
}

void Guard::change_services(const Config& config, const InterfaceLock&) {
    const auto live = instance_->read_policy();
    if (!live) return log_error(name_ + ": " + live.error().message);
    const Config wanted = effective(config);
    const HostFacts host = read_host(name_);
    const auto compiled = compile_policy(wanted, host, instance_->interface(), &*live);
    if (!compiled) return log_error(name_ + ": " + compiled.error().message);
    take_notes(*compiled);
    auto listening = follow_listeners(*live, wanted, config, host, instance_->interface());
    if (!listening) return log_error(name_ + ": " + listening.error().message);
    const CompiledPolicy& base = *listening ? **listening : *live;
    const auto local = follow_local(base, *compiled);
    if (!*listening && !local) return;
    if (auto done = instance_->apply(local ? *local : base); !done)
        return log_error(name_ + ": " + done.error().message);
    policy_ = local ? *local : base;
    if (*listening) {
        std::string text;
        for (const ServiceView& view : view_services(policy_)) text += (text.empty() ? "" : ", ") + view.name;
        spdlog::info("{}: something else listens now; protects {}", name_, text.empty() ? "nothing" : text);
    }
    if (local)
        spdlog::info("{}: other addresses are local now; {} pairs of address and port are protected", name_,
                     policy_.addresses.size());
}

// What has not been said yet goes into the log.
void Guard::take_notes(const CompiledPolicy& policy) {
    std::vector<std::string> notes = policy.notes;
    for (const std::string& note : notes)
        if (std::ranges::find(notes_, note) == notes_.end()) spdlog::info("{}: {}", name_, note);
    // The listeners have said theirs.
    if (listeners_) std::ranges::move(listeners_->notes(name_), std::back_inserter(notes));
    notes_ = std::move(notes);
}

Result<std::optional<CompiledPolicy>> Guard::compile(const Config& config) const {
    if (!instance_) return std::optional<CompiledPolicy>();
    const auto live = instance_->read_policy();
    if (!live) return tl::unexpected(live.error());
    auto policy = compile_policy(effective(config), read_host(name_), instance_->interface(), &*live);
    if (!policy) return tl::unexpected(policy.error());
    return std::optional(std::move(*policy));
}

Result<void> Guard::enforce(const CompiledPolicy& policy) {
    if (!instance_) return {};
    {
        const auto held = lock();
        blocked_ = !held;
        if (!held) return tl::unexpected(held.error());
        if (auto done = instance_->apply(policy); !done) return done;
    }
    policy_ = policy;
    notes_.clear();
    sysctls_ = policy.sysctls;
    const auto services = view_services(policy);
    for (const ServiceView& s : services)
        spdlog::info("{}: service '{}': mode {}, delivery {}", name_, s.name, mode_name(s.service.mode),
                     delivery_name(s.service.delivery));
    if (services.empty()) spdlog::warn("{}: the config protects no service; everything passes", name_);
    take_notes(policy);
    learn(false);
    return {};
}

Result<void> Guard::read_events() {
    auto reader = EventReader::create(*instance_, [this](const Event& event) { take(event); });
    if (!reader) return tl::unexpected(reader.error());
    events_.emplace(std::move(*reader));
    auto watch = loop_->watch(events_->fd(), EPOLLIN, [this](std::uint32_t) {
        if (const auto done = events_->consume(); !done) spdlog::error("{}: {}", name_, done.error().message);
    });
    if (!watch) return tl::unexpected(watch.error());
    watch_ = *watch;
    return {};
}

// `synward protect` and `synward mode` may have changed it.
void Guard::refresh_policy() {
    if (auto live = instance_->read_policy()) policy_ = std::move(*live);
}

void Guard::take(const Event& event) {
    if (is_arming(event.type)) {
        refresh_policy();
        const sw_service& service = policy_.services[event.service % SW_SERVICES];
        const bool armed = event.type == SW_EVENT_ARMED || event.type == SW_EVENT_OVERFLOW;
        spdlog::log(armed ? spdlog::level::warn : spdlog::level::info, "{}: service '{}' {}: {} ({} SYN/s){}",
                    name_, service.name, armed ? "armed" : "disarmed", event_text(event.type), event.rate,
                    service.mode == SW_MODE_MONITOR ? "; mode monitor: only counted" : "");
        if (armed) learn(false);
    }
    sink_(*this, event);
}

void Guard::learn(bool anyway, Instance::Filter filter) {
    if (!instance_) return;
    const auto wait = patience();
    anyway |= std::exchange(owed_, std::nullopt).value_or(false);
    const auto states = instance_->states();
    if (!states) {
        spdlog::error("{}: {}", name_, states.error().message);
        return;
    }
    const bool wanted = std::any_of(states->begin(), states->end(),
                                    [&](const ServiceState& s) { return s.armed && (anyway || !s.trusted); });
    if (!wanted) return;
    const auto held = InterfaceLock::take(instance_->interface(), InterfaceLock::Part::policy, wait);
    if (!held && held.error().code == ErrorCode::busy) {
        owed_ = anyway;
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    // One that a walk did not come to the end of lacks connections, which only the one before has.
    const bool keep = !complete_ || now - renewed_ < shortest_generation;
    const auto gained = held ? instance_->learn(object_, keep ? Instance::Filter::keep : filter)
                             : tl::unexpected(held.error());
    if (held) complete_ = gained.has_value();
    if (held && !keep) renewed_ = now;
    malloc_trim(0);
    if (!gained)
        // Connections live on without it: the program asks the kernel for each packet.
        spdlog::warn("{}: {}", name_, gained.error().message);
    else
        spdlog::debug("{}: learned the existing sockets, {} services gained trust", name_, *gained);
}

void Guard::tend_filter() {
    if (!instance_ || std::chrono::steady_clock::now() - renewed_ < shortest_generation) return;
    if (filter_wants_renewal(instance_->filter_use(), count_sockets())) learn(true);
}

void Guard::leave() {
    if (instance_ && instance_->filter_use().shift < SW_FILTER_SHIFT) learn(true, Instance::Filter::most);
}

Result<void> Guard::write_tickets(std::span<const Ticket> tickets) {
    if (!instance_) return {};
    return instance_->write_tickets(tickets);
}

Result<Rotation> Guard::rotate_keys() {
    if (!instance_) return fail(ErrorCode::missing, not_protected());
    const auto held = lock();
    if (!held) return tl::unexpected(held.error());
    auto rotation = instance_->rotate_keys();
    if (rotation)
        spdlog::debug("{}: {}", name_,
                      rotation->rotated ? "rotated the cookie keys" : "cookie keys are still too young");
    return rotation;
}

Result<void> Guard::set_mode(std::string_view service, sw_mode mode) {
    if (!instance_) return fail(ErrorCode::missing, not_protected());
    {
        const auto held = lock();
        if (!held) return tl::unexpected(held.error());
        if (auto done = instance_->set_mode(service, mode); !done) return done;
    }
    refresh_policy();
    spdlog::info("{}: service '{}': mode {}, by the control socket", name_, service, mode_name(mode));
    learn(false);
    return {};
}

void Guard::link_changed(const Config& config) {
    const auto interface = find_interface(name_);
    if (!interface) {
        if (state_ != State::absent) spdlog::warn("{}: the interface is gone", name_);
        drop(State::absent, "there is no such interface");
        return;
    }
    if (state_ == State::protecting && instance_->interface().index == interface->index) {
        if (!instance_->alive()) {
            spdlog::warn(
                "{}: somebody took synward off; it stays so until a reload (systemctl reload synwardd)",
                name_);
            drop(State::detached, "somebody took synward off; reload to protect it again");
        } else if (!instance_->interface().same_place(*interface)) {
            if (const auto done = adjust(config, *interface); !done)
                log_error(name_ + ": " + done.error().message);
        }
        return;
    }
    // Put back by `synward load` or `ip link`: adopt it.
    if (state_ == State::detached && !Instance::find(*interface)) return;
    const std::string before = problem_;
    if (const auto done = protect(config); !done && done.error().message != before)
        log_error(name_ + ": " + done.error().message);
}

void Guard::surroundings_changed(const Config& config) {
    if (state_ == State::protecting) link_changed(config);
}

Result<void> Guard::adjust(const Config& config, const Interface& interface) {
    auto instance = Instance::find(interface);
    if (!instance) return tl::unexpected(instance.error());
    if (watch_) loop_->forget(std::exchange(watch_, 0));
    events_.reset();
    instance_.emplace(std::move(*instance));
    if (auto done = read_events(); !done) return done;
    spdlog::info("{}: MTU {}, hardware address and the devices around it ({}) are followed", name_,
                 interface.mtu, fmt::join(interface.receivers, ", "));
    {
        const auto lock = lock_or_later();
        if (!lock) return {};
        if (auto done = enforce_adjusted(config, interface, *lock); !done) return done;
    }
    // Another address: see Instance::apply().
    learn(false);
    return {};
}

Result<void> Guard::enforce_adjusted(const Config& config, const Interface& interface, const InterfaceLock&) {
    const auto live = instance_->read_policy();
    if (!live) return tl::unexpected(live.error());
    const auto compiled = compile_policy(effective(config), read_host(name_), interface, &*live);
    if (!compiled) return tl::unexpected(compiled.error());
    CompiledPolicy adjusted = readjust(*live, *compiled, interface.mtu);
    if (auto done = instance_->apply(adjusted); !done) return done;
    policy_ = std::move(adjusted);
    take_notes(*compiled);
    sysctls_ = compiled->sysctls;
    return {};
}

// What start or reload could not do.
bool Guard::unblock(const Config& config) {
    const auto interface = find_interface(name_);
    // Who has the lock still is not waited for.
    if (!interface || !InterfaceLock::take(*interface, InterfaceLock::Part::policy, 0ms)) return false;
    if (const auto done = protect(config); !done) {
        log_error(name_ + ": " + done.error().message);
        return false;
    }
    return state_ == State::protecting;
}

Guard::Followed Guard::follow_sysctls(const Config& config) {
    if (blocked_) return {.services = unblock(config)};
    if (!instance_) return {};
    if (owed_) learn(*owed_);
    const Sysctls now = read_sysctls(name_);
    const bool changed = !(now == sysctls_);
    if (!changed && !behind_) return {};
    bool late = false;
    {
        const auto lock = lock_or_later();
        if (!lock) return {};
        late = std::exchange(behind_, false);
        if (changed) spdlog::info("{}: {}: SYN-ACKs follow it", name_, sysctls_changed(sysctls_, now, name_));
        // Whatever happens, it is said once.
        sysctls_ = now;
        if (const auto done = enforce_adjusted(config, instance_->interface(), *lock); !done)
            log_error(name_ + ": " + done.error().message);
        if (late) change_services(config, *lock);
    }
    if (late) learn(false);
    malloc_trim(0);
    return {.sysctls = changed, .services = late};
}

void Guard::release() {
    if (!instance_) return;
    const Interface interface = instance_->interface();
    drop(State::detached, {});
    // Without it, too: see `synward unload`.
    const auto lock = InterfaceLock::take(interface, InterfaceLock::Part::policy, lock_patience);
    if (const auto done = Instance::unload(interface); !done)
        log_error(name_ + ": " + done.error().message);
    else
        spdlog::info("{}: the config names it no more; unloaded", name_);
}

}  // namespace synward
