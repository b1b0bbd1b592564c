// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/classifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/log.h"
#include "lib/abi/metadata.h"
#include "lib/classify/classification.h"
#include "lib/classify/module_marker.h"
#include "lib/sets/contents.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// Several transactions in a row are one reason to look.
constexpr auto look_delay = 20ms;
constexpr int look_pause = 20;  // times what a look takes
constexpr auto least_tick = 10s;
// The sets are known by then, or will not be.
constexpr auto wait_for_sets = 5s;

std::string_view marker_name(Marker marker) {
    switch (marker) {
        case Marker::automatic:
            return "auto";
        case Marker::module:
            return "module";
        case Marker::mangle:
            return "mangle";
        case Marker::none:
            break;
    }
    return "none";
}

std::string_view keeping_name(RuleKeeping keeping) {
    switch (keeping) {
        case RuleKeeping::restore:
            return "restore";
        case RuleKeeping::report:
            return "report";
        case RuleKeeping::none:
            break;
    }
    return "none";
}

void take_headers(const SetContents& set, std::vector<SetHeader>& headers) {
    headers.push_back(set.header());
    for (const auto& member : set.members()) take_headers(*member, headers);
}

std::string by(const std::string& who) {
    return who.empty() ? std::string() : " by " + who;
}

std::int64_t seconds(std::chrono::steady_clock::duration time) {
    return std::chrono::ceil<std::chrono::seconds>(time).count();
}

}  // namespace

// --- flow tables -----------------------------------------------------------------

void FlowTables::follow(const Guards& guards) {
    std::vector<FlowTable> tables;
    const std::lock_guard lock(mutex_);
    for (const auto& guard : guards) {
        if (!guard->instance()) continue;
        const auto old = std::find_if(tables_.begin(), tables_.end(), [&](const FlowTable& table) {
            return table.is_of(*guard->instance());
        });
        if (old != tables_.end()) {
            tables.push_back(std::move(*old));
            tables_.erase(old);
        } else if (auto opened = FlowTable::open(*guard->instance())) {
            tables.push_back(std::move(*opened));
        } else {
            spdlog::warn("{}: connections that end stay in the flow table until others take their place: {}",
                         guard->name(), opened.error().message);
        }
    }
    tables_ = std::move(tables);
}

void FlowTables::ended(std::span<const FlowTuple> flows) {
    const std::lock_guard lock(mutex_);
    for (FlowTable& table : tables_) counts_.forgotten += table.forget(flows);
}

void FlowTables::doubt() {
    const std::lock_guard lock(mutex_);
    counts_.readings++;
    for (FlowTable& table : tables_) table.doubt();
}

void FlowTables::confirm(std::span<const FlowTuple> flows) {
    const std::lock_guard lock(mutex_);
    for (FlowTable& table : tables_) table.confirm(flows);
}

void FlowTables::settle(bool all) {
    const std::lock_guard lock(mutex_);
    for (FlowTable& table : tables_) counts_.reconciled += table.settle(all);
}

FlowTables::Counts FlowTables::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

// --- start, reload, end ------------------------------------------------------------

Result<std::unique_ptr<Classifier>> Classifier::create(EventLoop& loop, const Guards& guards, Hooks hooks) {
    std::unique_ptr<Classifier> made(new Classifier(loop, guards, std::move(hooks)));
    auto look = Timer::create(loop, [self = made.get()] { self->look(); });
    if (!look) return tl::unexpected(look.error());
    made->look_timer_.emplace(std::move(*look));
    auto tick = Timer::create(loop, [self = made.get()] { self->tick(); });
    if (!tick) return tl::unexpected(tick.error());
    made->tick_timer_.emplace(std::move(*tick));
    return made;
}

Classifier::~Classifier() = default;

void Classifier::configure(const Config& config) {
    const bool was_enabled = config_.enabled;
    const ClassifyConfig old = std::exchange(config_, config.classify);
    decided_ =
        static_cast<std::uint8_t>(config.decide.accept_mark & config.decide.accept_mask & SW_MARK_CLASS_MASK);
    configured_ = Clock::now();
    if (!watch_) {
        auto watch = RulesetWatch::create(loop_, [this](const std::string& who) { ruleset_changed(who); });
        if (watch)
            watch_ = std::move(*watch);
        else
            spdlog::warn("that somebody takes our rules away is noticed late: {}", watch.error().message);
    }
    tick_timer_->every(std::max<std::chrono::milliseconds>(config_.reconcile, least_tick));
    if (!config_.enabled) {
        if (was_enabled) leave();
        follow_ends();
        return;
    }
    // Ours until now, and not wanted any more. What was there before us is left alone.
    if (config_.rule == RuleKeeping::none && was_enabled && old.rule != RuleKeeping::none)
        if (const auto removed = remove_fate_rule(); !removed) log_error(removed.error().message);
    if (config_.rule == RuleKeeping::none)
        rule_problem_.clear();
    else
        install_rule();
    rule_ = find_fate_rule(config_.fates).value_or(FateRule{});

    remark_problem_.clear();
    if (!config_.remark) remark_.reset();
    if (config_.remark && !remark_) {
        auto started = RemarkThread::start();
        if (started)
            remark_ = std::move(*started);
        else
            log_error(remark_problem_ = started.error().message);
    }
    if (was_enabled && old.marker != config_.marker && config_.marker == Marker::none) {
        unmark(Marking::module);
        unmark(Marking::mangle);
        marking_ = Marking::none;
        marked_ = false;
    }
    if (index_) {
        plan();
        mark(old.marker != config_.marker);
        remark({});
    }
    follow_ends();
}

// The config has no [classify] any more.
void Classifier::leave() {
    if (const auto removed = remove_classification(); !removed) log_error(removed.error().message);
    remark_.reset();
    marking_ = Marking::none;
    marked_ = false;
    bound_.clear();
    mangle_ = {};
    rule_ = {};
    rule_problem_.clear();
    marker_problem_.clear();
    remark_problem_.clear();
    spdlog::info("connections are not classified any more");
}

void Classifier::guards_changed() {
    flows_.follow(guards_);
    follow_ends();
}

// Where classification runs there is conntrack anyhow, and its reports cost nothing new.
void Classifier::follow_ends() {
    flows_.follow(guards_);
    if (!config_.enabled || hooks_.flows_followed()) {
        ends_.reset();
    } else if (!ends_) {
        auto started = FlowSync::start(flows_);
        if (started)
            ends_ = std::move(*started);
        else
            spdlog::warn("connections that end stay in the flow table until others take their place: {}",
                         started.error().message);
    }
}

// --- the ruleset ---------------------------------------------------------------------

void Classifier::ruleset_changed(const std::string& who) {
    if (!who.empty()) who_ = who;
    look_again(look_delay);
}

// Not later than a look that is due already, so that changes without end do not put it off.
void Classifier::look_again(Clock::duration after) {
    const auto now = Clock::now();
    const auto due = std::max(now + after, next_look_);
    if (look_due_ > now && look_due_ <= due) return;
    look_due_ = due;
    look_timer_->every(std::max(std::chrono::ceil<std::chrono::milliseconds>(due - now), 1ms));
}

void Classifier::look() {
    look_timer_->every(0ms);
    look_due_ = {};
    const auto begun = Clock::now();
    look_at_queue_rule();
    if (config_.enabled) {
        look_at_rule();
        look_at_marker();
    }
    next_look_ = Clock::now() + look_pause * (Clock::now() - begun);
}

void Classifier::tick() {
    follow_ends();
    look();
    if (config_.enabled && !index_ && !marked_ && Clock::now() - configured_ > wait_for_sets) mark(false);
}

void Classifier::install_rule() {
    const auto done = install_fate_rule(config_.fates);
    const std::string problem = done ? std::string() : done.error().message;
    if (!problem.empty() && problem != rule_problem_) log_error(problem);
    rule_problem_ = problem;
}

void Classifier::look_at_rule() {
    if (config_.rule == RuleKeeping::none) return;
    auto found = find_fate_rule(config_.fates);
    if (!found) {
        if (found.error().message != rule_problem_) log_error(found.error().message);
        rule_problem_ = found.error().message;
        return;
    }
    rule_ = std::move(*found);
    if (rule_.state == RuleState::exact) {
        rule_problem_.clear();
        if (!std::exchange(reported_, {}).empty() && config_.rule == RuleKeeping::report)
            spdlog::info("the one rule is as it should be again");
        return;
    }
    if (config_.rule == RuleKeeping::report) {
        if (rule_.difference != reported_)
            spdlog::error(
                "the one rule does not hold any more: {}, changed{}; classify.rule = \"report\": it is "
                "left so, reload to put it back (systemctl reload synwardd)",
                rule_.difference, by(who_).empty() ? " by somebody" : by(who_));
        reported_ = rule_.difference;
        return;
    }
    const auto now = Clock::now();
    if (!rule_backoff_.allowed(now)) return look_again(rule_backoff_.left(now));
    const std::string why = rule_.difference;
    install_rule();
    const auto pause = rule_backoff_.done(now);
    if (!rule_problem_.empty()) return look_again(pause);
    restored_++;
    reported_ = why;
    rule_ = find_fate_rule(config_.fates).value_or(FateRule{});
    if (rule_backoff_.contested())
        spdlog::warn(
            "the one rule was taken away again{} and was put back: {}; the next time it stays away for {} s",
            by(who_), why, seconds(pause));
    else
        spdlog::warn("the one rule was taken away{} and was put back: {}", by(who_), why);
}

void Classifier::look_at_queue_rule() {
    if (!hooks_.queue_rule_missing()) return;
    const auto now = Clock::now();
    if (!queue_backoff_.allowed(now)) return look_again(queue_backoff_.left(now));
    hooks_.restore_queue_rule();
    queue_backoff_.done(now);
    restored_++;
    spdlog::warn(
        "the rule that brings escalated packets to nfnetlink_queue was taken away{} and was put back",
        by(who_));
}

// Rules of iptables may be among those of nftables; those of its old backend are looked
// at by the clock, as is the module, which may have been loaded anew.
void Classifier::look_at_marker() {
    // Connections that were made while nothing marked them are made up for.
    if (!marked_) {
        if (index_ && mark(false)) remark({});
        return;
    }
    bool there = true;
    if (marking_ == Marking::mangle) {
        const auto found = find_mangle_rules();
        there = found && *found == mangle_;
    } else if (marking_ == Marking::module) {
        const auto bound = module_has_bound(bound_);
        there = bound && *bound;
    }
    if (there) return;
    const auto now = Clock::now();
    if (!marker_backoff_.allowed(now)) return look_again(marker_backoff_.left(now));
    const Marking lost = std::exchange(marking_, Marking::none);
    marked_ = false;
    const bool back = mark(true);
    marker_backoff_.done(now);
    if (!back) return;
    restored_++;
    spdlog::warn(
        "what marks new connections ({}) was changed{} and was put back",
        lost == Marking::mangle ? "the chain SYNWARD of the table mangle" : "the module's list of sets",
        lost == Marking::mangle ? by(who_) : "");
    remark({});
}

// --- the marker ----------------------------------------------------------------------

void Classifier::sets_changed(std::shared_ptr<const SetIndex> index, const std::vector<Prefix>& changed) {
    const bool first = !index_;
    index_ = std::move(index);
    if (!config_.enabled) return;
    const auto before = plan_.sets;
    plan();
    mark(first);
    // What the sets said when nobody looked, or when they were not asked, is made up for.
    if (first || before != plan_.sets)
        remark({});
    else if (!changed.empty())
        remark(changed);
}

void Classifier::plan() {
    std::vector<SetHeader> headers;
    for (const auto& set : index_->sets()) take_headers(*set, headers);
    BindingPlan next = plan_binding(config_.sets, headers, [&](const std::string& name) {
        std::vector<std::string> names;
        for (const auto& set : index_->sets())
            if (set->header().name == name)
                for (const auto& member : set->members()) names.push_back(member->header().name);
        return names;
    });
    for (const std::string& problem : next.problems)
        if (std::find(plan_.problems.begin(), plan_.problems.end(), problem) == plan_.problems.end())
            spdlog::warn("{}", problem);
    plan_ = std::move(next);
}

Result<void> Classifier::mark_by(Marking marking) {
    if (marking == Marking::module) return bind_module(plan_.sets);
    auto rules = install_mangle_rules(plan_.sets);
    if (!rules) return tl::unexpected(rules.error());
    mangle_ = std::move(*rules);
    return {};
}

void Classifier::unmark(Marking marking) {
    const auto done = marking == Marking::module ? unbind_module() : remove_mangle_rules();
    if (!done) log_error(done.error().message);
}

bool Classifier::mark(bool anyway) {
    if (config_.marker == Marker::none) {
        why_ = "classify.marker = \"none\"";
        marker_problem_.clear();
        return false;
    }
    if (marked_ && !anyway && plan_.sets == bound_) return true;
    // New connections are marked by one or the other at any moment, for a moment by both.
    const auto try_marking = [&](Marking marking, std::string why) {
        auto done = mark_by(marking);
        if (!done) return done;
        if (!marked_ || marking != marking_ || bound_ != plan_.sets) {
            std::string names;
            for (const BoundSet& set : plan_.sets) names += (names.empty() ? "" : ", ") + set.name;
            spdlog::info("new connections are marked by {} ({}): {}",
                         marking == Marking::module ? "the module" : "rules of iptables in the table mangle",
                         why, names.empty() ? "no set exists yet" : names);
        }
        if (marking != marking_ || !marked_)
            unmark(marking == Marking::module ? Marking::mangle : Marking::module);
        marking_ = marking;
        marked_ = true;
        bound_ = plan_.sets;
        why_ = std::move(why);
        return done;
    };
    const std::string old_problem = std::exchange(marker_problem_, {});
    Result<void> done;
    if (config_.marker == Marker::mangle) {
        done = try_marking(Marking::mangle, "classify.marker = \"mangle\"");
    } else {
        done =
            try_marking(Marking::module, config_.marker == Marker::module ? "classify.marker = \"module\""
                                                                          : "the module synward is loaded");
        if (!done && config_.marker == Marker::automatic) {
            const std::string module = done.error().message;
            done = try_marking(Marking::mangle, module);
        }
    }
    if (done) return true;
    // What was bound before stays in force.
    if (bound_ != plan_.sets) marked_ = false;
    marker_problem_ = done.error().message;
    if (marker_problem_ != old_problem)
        log_error(fmt::format("{}: {}",
                              marking_ == Marking::none ? "new connections are not marked"
                                                        : "new connections are marked by the old sets",
                              marker_problem_));
    return false;
}

// Existing connections, from `changed` or, if that is empty, all.
void Classifier::remark(const std::vector<Prefix>& changed) {
    if (!remark_ || !index_) return;
    RemarkThread::Work work;
    std::vector<std::shared_ptr<const SetContents>> sets;
    for (const BoundSet& set : plan_.sets)
        for (const auto& contents : index_->sets())
            if (contents->header().name == set.name) sets.push_back(contents);
    work.index = std::make_shared<const SetIndex>(std::move(sets));
    work.changed = changed;
    work.decided = decided_;
    if (changed.empty()) work.changed = {Prefix{{SW_IPV4, {}}, 0}, Prefix{{SW_IPV6, {}}, 0}};
    remark_->want(std::move(work));
}

// --- status --------------------------------------------------------------------------

nlohmann::json Classifier::status() const {
    using nlohmann::json;
    const auto text = [](const std::string& value) { return value.empty() ? json() : json(value); };
    json sets = json::array();
    for (const BoundSet& set : bound_)
        sets.push_back({{"name", set.name}, {"type", set.type}, {"directions", direction_words(set)}});
    json problems = plan_.problems;
    for (const std::string& problem : {marker_problem_, rule_problem_, remark_problem_})
        if (!problem.empty()) problems.push_back(problem);
    const RemarkThread::Status remark = remark_ ? remark_->status() : RemarkThread::Status{};
    if (!remark.problem.empty()) problems.push_back(remark.problem);
    if (config_.enabled && config_.rule != RuleKeeping::none && rule_.state != RuleState::exact)
        problems.push_back("the one rule does not hold: " + rule_.difference);
    const FlowTables::Counts flows = flows_.counts();
    return {{"enabled", config_.enabled},
            {"marker",
             {{"wanted", marker_name(config_.marker)},
              {"used", marking_ == Marking::module   ? "module"
                       : marking_ == Marking::mangle ? "mangle"
                                                     : "none"},
              {"why", text(marker_problem_.empty() ? why_ : marker_problem_)}}},
            {"rule",
             {{"keeping", keeping_name(config_.rule)},
              {"state", config_.enabled ? json(rule_state_name(rule_.state)) : json()},
              {"difference", text(rule_.difference)},
              {"foreign_elements", rule_.foreign}}},
            {"sets", std::move(sets)},
            {"waited_for", plan_.waited},
            {"restored", restored_},
            {"remark",
             {{"running", remark_ != nullptr},
              {"runs", remark.runs},
              {"changed", remark.changed},
              {"unclear", remark.unclear}}},
            {"flows_forgotten", flows.forgotten},
            {"flow_reports_lost", FlowSync::lost()},
            {"flow_readings", flows.readings},
            {"flows_reconciled", flows.reconciled},
            {"problems", std::move(problems)}};
}

}  // namespace synward
