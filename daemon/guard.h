// SPDX-License-Identifier: GPL-2.0-or-later
// One interface that the config names, whether it is there or not.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "daemon/event_loop.h"
#include "daemon/listeners.h"
#include "lib/config.h"
#include "lib/events.h"
#include "lib/instance.h"
#include "lib/policy.h"

namespace synward {

class Guard {
  public:
    enum class State {
        absent,    // no such interface: waits for it
        failed,    // could not be protected: tried again when it changes or at a reload
        detached,  // somebody took synward off: left so until a reload
        protecting
    };
    using Sink = std::function<void(const Guard&, const Event&)>;

    // The loop must outlive the guard. `sink` gets every event of the interface.
    Guard(std::string name, EventLoop& loop, Sink sink);
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard();

    // Attaches or adopts, and enforces the policy. Says in the log what it did.
    // An interface that is not there is no error: the state tells.
    Result<void> protect(const Config& config);

    // What protect() would enforce; nothing where it is not protecting. Changes nothing.
    [[nodiscard]] Result<std::optional<CompiledPolicy>> compile(const Config& config) const;
    // Enforces what compile() made, but for the sources: those are the Mirror's.
    Result<void> enforce(const CompiledPolicy& policy);

    // What listens and what is local comes into every policy from now on; outlives the guard.
    void follow(Listeners& listeners) { listeners_ = &listeners; }
    // Something else listens or is local now: changes the services made of listeners and
    // the addresses of local services, and nothing else.
    void services_changed(const Config& config);

    struct Followed {
        bool sysctls = false;   // they changed
        bool services = false;  // they are those of the config only now
    };
    // The host's sysctls changed since the policy was made: the SYN-ACKs announce no more than
    // the kernel accepts now. Called once a second, it also makes good what another writer's
    // lock held up.
    Followed follow_sysctls(const Config& config);

    // The link changed: appeared, went, came again, has another MTU or address.
    void link_changed(const Config& config);
    // Some other link changed, which may be the interface's master or a VLAN on top of it.
    void surroundings_changed(const Config& config);

    // Takes synward off the interface; an interface the config names no more.
    void release();

    // Walks over the sockets when a service is armed whose filter is not
    // complete, or `anyway` when any is armed. Where somebody else writes,
    // that is done when they are done: all else would wait meanwhile.
    void learn(bool anyway, Instance::Filter filter = Instance::Filter::fit);
    // Walks before its time where the filter of known connections fills up or just changed its
    // size; to be called every few seconds.
    void tend_filter();
    // The daemon ends, so that nobody tends the filter any more: it gets its largest size.
    void leave();
    // As Instance::rotate_keys(); for the timer and for `synward rotate`.
    Result<Rotation> rotate_keys();
    Result<void> set_mode(std::string_view service, sw_mode mode);
    Result<void> write_tickets(std::span<const Ticket> tickets);

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const std::string& problem() const { return problem_; }
    // Only while protecting.
    [[nodiscard]] const Instance* instance() const { return instance_ ? &*instance_ : nullptr; }
    // The policy whose names events are told with; may be a moment old.
    [[nodiscard]] const CompiledPolicy& policy() const { return policy_; }
    [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  private:
    [[nodiscard]] Config effective(const Config& config) const;
    Result<void> attach(const Config& config, const Interface& interface);
    bool unblock(const Config& config);
    Result<void> adjust(const Config& config, const Interface& interface);
    // Whoever changes what it has read holds the policy's lock meanwhile, and calls nothing
    // that takes it: learn(), enforce(), set_mode().
    Result<void> enforce_adjusted(const Config& config, const Interface& interface,
                                  const InterfaceLock& lock);
    void change_services(const Config& config, const InterfaceLock& lock);
    [[nodiscard]] Result<InterfaceLock> lock() const;
    [[nodiscard]] std::string not_protected() const;
    std::optional<InterfaceLock> lock_or_later();
    Result<void> read_events();
    [[nodiscard]] std::chrono::milliseconds patience() const;
    void refresh_policy();
    void take_notes(const CompiledPolicy& policy);
    void take(const Event& event);
    void drop(State state, std::string problem);

    std::string name_;
    EventLoop* loop_;
    Sink sink_;
    State state_ = State::absent;
    std::string problem_;
    // Another writer held the lock; see follow_sysctls().
    std::optional<bool> owed_;  // what learn() was called with
    bool behind_ = false;       // a change of the services
    bool blocked_ = false;      // the whole policy
    std::optional<Instance> instance_;
    std::optional<EventReader> events_;
    EventLoop::Watch watch_ = 0;
    Listeners* listeners_ = nullptr;
    CompiledPolicy policy_;
    std::vector<std::string> notes_;
    Sysctls sysctls_;                                // that the policy in force was made for
    std::chrono::steady_clock::time_point renewed_;  // the filter, last
    bool complete_ = false;                          // the last walk came to its end
    std::string object_;
};

[[nodiscard]] std::string_view guard_state_name(Guard::State state);

}  // namespace synward
