// SPDX-License-Identifier: GPL-2.0-or-later
// Classification in the daemon: who marks new connections, the one rule and its keeping,
// and the marks of connections that exist. What it makes in the kernel outlives it. On
// the control thread, except for the threads that read conntrack.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/event_loop.h"
#include "daemon/flow_sync.h"
#include "daemon/guard.h"
#include "daemon/remark_thread.h"
#include "daemon/ruleset_watch.h"
#include "daemon/timer.h"
#include "lib/classify/backoff.h"
#include "lib/classify/binding.h"
#include "lib/classify/fate_rule.h"
#include "lib/classify/mangle_rules.h"
#include "lib/config.h"
#include "lib/flow_table.h"
#include "lib/sets/index.h"

namespace synward {

// The flow tables of all interfaces. follow() on the control thread, the others on any. The lock is
// held for a batch of connections at a time.
class FlowTables : public FlowFollower {
  public:
    using Guards = std::vector<std::unique_ptr<Guard>>;

    // Those of the interfaces that are protected now.
    void follow(const Guards& guards);
    void ended(std::span<const FlowTuple> flows) override;
    void doubt() override;
    void confirm(std::span<const FlowTuple> flows) override;
    void settle(bool all) override;

    struct Counts {
        std::uint64_t forgotten = 0;   // since conntrack said so
        std::uint64_t reconciled = 0;  // since no connection had them, after reports were lost
        std::uint64_t readings = 0;    // of all connections, to find that out
    };
    [[nodiscard]] Counts counts() const;

  private:
    mutable std::mutex mutex_;
    std::vector<FlowTable> tables_;
    Counts counts_;
};

class Classifier {
  public:
    using Guards = FlowTables::Guards;
    struct Hooks {
        // Of the escalation, whose rule is in the same ruleset: whether it is gone; puts it back.
        std::function<bool()> queue_rule_missing;
        std::function<void()> restore_queue_rule;
        // Somebody else tells flows() what ended.
        std::function<bool()> flows_followed;
    };

    // `loop` and `guards` outlive this.
    [[nodiscard]] static Result<std::unique_ptr<Classifier>> create(EventLoop& loop, const Guards& guards,
                                                                    Hooks hooks);
    Classifier(const Classifier&) = delete;
    Classifier& operator=(const Classifier&) = delete;
    ~Classifier();

    // At the start and at every reload. What cannot be done is in the log and the status;
    // packets pass unmarked then.
    void configure(const Config& config);
    // The sets that exist now, and the prefixes of the entries that changed since.
    void sets_changed(std::shared_ptr<const SetIndex> index, const std::vector<Prefix>& changed);
    // Connections that conntrack forgot leave the flow tables.
    [[nodiscard]] FlowFollower& flows() { return flows_; }
    // Interfaces came or went.
    void guards_changed();

    [[nodiscard]] nlohmann::json status() const;

  private:
    using Clock = std::chrono::steady_clock;
    enum class Marking : std::uint8_t { none, module, mangle };

    Classifier(EventLoop& loop, const Guards& guards, Hooks hooks)
        : loop_(loop), guards_(guards), hooks_(std::move(hooks)) {}
    void ruleset_changed(const std::string& who);
    void look();  // at the ruleset
    void tick();  // at what nobody reports
    void look_at_rule();
    void look_at_queue_rule();
    void look_at_marker();
    void look_again(Clock::duration after);
    void install_rule();
    void plan();
    bool mark(bool anyway);  // whether new connections are marked as the plan says
    Result<void> mark_by(Marking marking);
    void unmark(Marking marking);
    void remark(const std::vector<Prefix>& changed);
    void follow_ends();
    void leave();

    EventLoop& loop_;
    const Guards& guards_;
    Hooks hooks_;
    ClassifyConfig config_;
    std::uint8_t decided_ = 0;  // the class byte of decide.accept_mark

    std::unique_ptr<RulesetWatch> watch_;
    std::optional<Timer> look_timer_;
    std::optional<Timer> tick_timer_;
    Clock::time_point look_due_{};   // none: no look is due
    Clock::time_point next_look_{};  // not before
    std::string who_;                // changed the ruleset last

    FateRule rule_;
    std::string rule_problem_;
    std::string reported_;  // difference that is in the log already
    Backoff rule_backoff_;
    Backoff queue_backoff_;
    Backoff marker_backoff_;
    std::uint64_t restored_ = 0;

    std::shared_ptr<const SetIndex> index_;
    BindingPlan plan_;
    Marking marking_ = Marking::none;
    bool marked_ = false;          // by `marking_`, with the sets of the plan
    std::vector<BoundSet> bound_;  // by it
    MangleRules mangle_;           // as they were after we wrote them
    std::string why_;              // this marker
    std::string marker_problem_;
    Clock::time_point configured_;

    std::unique_ptr<RemarkThread> remark_;
    std::string remark_problem_;
    FlowTables flows_;
    std::unique_ptr<FlowSync> ends_;  // only where nobody else reads them
};

}  // namespace synward
