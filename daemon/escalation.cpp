// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/escalation.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/clock.h"
#include "lib/decide/explanation.h"
#include "lib/escalation/module.h"
#include "lib/escalation/queue_rule.h"
#include "lib/names.h"
#include "lib/sets/entry_words.h"

namespace synward {

using namespace std::chrono_literals;

namespace {

// Tables that cannot change their size while they are in use.
bool same_tables(const DecideConfig& a, const DecideConfig& b) {
    return a.proven_sources == b.proven_sources && a.proven_prefixes == b.proven_prefixes &&
           a.proven_window == b.proven_window && a.known_flows == b.known_flows && a.shapes == b.shapes &&
           a.shape_half_life == b.shape_half_life;
}

TransportOptions transport_options(const EscalationConfig& config) {
    TransportOptions options;
    options.ring.slots = config.slots;
    options.ring.deadline_ms = static_cast<std::uint32_t>(config.deadline.count());
    options.ring.fail = config.fail;
    options.ring.mode = config.mode;
    options.ring.fanout = config.fanout;
    options.nfqueue.make_room(config.slots);
    options.nfqueue.fail_open = config.fail == SW_RING_FAIL_ACCEPT;
    options.first_queue = config.queue;
    return options;
}

QueueRange queue_range(const EscalationConfig& config) {
    return {config.queue, static_cast<std::uint16_t>(config.queue + config.queues - 1)};
}

std::int64_t until(Backoff::Clock::time_point when) {
    const auto left = std::max(when - Backoff::Clock::now(), Backoff::Clock::duration::zero());
    return std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
}

// So that a filter never gets too old to say "unknown".
std::chrono::milliseconds refresh_interval(const DecideConfig& config) {
    return config.known_flows_age / 3;
}

}  // namespace

Escalation::Escalation(EventLoop& loop, const Guards& guards, Sink sink)
    : loop_(loop), guards_(guards), sink_(std::move(sink)) {}

Escalation::~Escalation() {
    // Who is told may be gone before this; the set itself is there when they look again.
    set_changed_ = nullptr;
    close();
    release_module();
}

void Escalation::close() {
    if (watch_) loop_.forget(std::exchange(watch_, 0));
    for (const auto& worker : workers_) worker->close();
    // While services_ and decide_ still are those that it was decided by.
    take_waiting();
    workers_.clear();
    flows_.reset();
    observer_.reset();
    if (observed_) std::exchange(observed_, nullptr)->close();
    // With `bypass` it does no harm, but it is ours to take away: after the transports, since the
    // kernel drops whatever a queue holds when a chain goes.
    if (rule_) {
        const auto removed = remove_queue_rule();
        if (!removed) spdlog::warn("the nfqueue rule stays: {}", removed.error().message);
        rule_ = !removed;
    }
    transport_.clear();
    why_.clear();
}

Result<void> Escalation::configure(const Config& config) {
    const bool wanted = config.escalates();
    // One that is full, or failed, begins anew.
    if (!wanted || config.record != record_ || (recorder_ && recorder_->status().ended())) stop_recording();
    record_ = config.record;
    if (wanted && !workers_.empty() && problem_.empty() && config.escalation == escalation_ &&
        config.decide == decide_ && !better_transport()) {
        load_services();
        start_recording();
        return {};
    }
    close();
    release_module();
    problem_.clear();
    if (retry_) retry_->every(0ms);
    if (!wanted) {
        shared_.reset();
        return {};
    }
    if (!shared_ || !same_tables(decide_, config.decide)) shared_.reset();
    escalation_ = config.escalation;
    decide_ = config.decide;
    auto done = start();
    if (!done) {
        close();
        problem_ = done.error().message;
        try_again_later();
    }
    return done;
}

void Escalation::start_recording() {
    if (recorder_ || record_.file.empty()) return;
    auto made = Recorder::start(record_);
    if (!made) {
        // The same once more is no news.
        if (recording_problem_ != made.error().message)
            log_error(fmt::format("nothing is recorded: {}", made.error().message));
        recording_problem_ = made.error().message;
        return;
    }
    recording_problem_.clear();
    recorder_ = std::move(*made);
    record_observer();
    for (const auto& worker : workers_) worker->record(*recorder_);
    spdlog::info("what comes up is recorded in '{}'", record_.file);
}

void Escalation::stop_recording() {
    recording_problem_.clear();
    if (!recorder_) return;
    recorder_.reset();
    spdlog::info("'{}' is recorded no more", record_.file);
}

void Escalation::record_observer() {
    if (!recorder_ || !observer_) return;
    if (!observed_) observed_ = std::make_shared<TraceQueue>();
    recorder_->add(observed_);
}

// The module may have been loaded since.
bool Escalation::better_transport() const {
    return escalation_.transport == TransportChoice::automatic && transport_ == "nfqueue" && !module_seen_ &&
           module_loaded();
}

Result<void> Escalation::start() {
    if (!keys_) {
        auto keys = KeySource::random();
        if (!keys) return tl::unexpected(keys.error());
        keys_.emplace(*keys);
    }
    if (!shared_) shared_ = std::make_unique<DecideShared>(decide_, *keys_);
    load_services();
    start_recording();
    observer_ = std::make_unique<Chain>(decide_, *shared_, *keys_);
    record_observer();

    notify_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!notify_) return fail_errno(errno, "cannot make an eventfd");
    auto watch = loop_.watch(notify_.get(), EPOLLIN, [this](std::uint32_t) { take_actions(); });
    if (!watch) return tl::unexpected(watch.error());
    watch_ = *watch;

    if (auto opened = open_workers(); !opened) return opened;
    module_seen_ = module_loaded();
    auto flows = FlowSync::start(shared_->flows, refresh_interval(decide_), follower_);
    if (flows)
        flows_ = std::move(*flows);
    else
        spdlog::warn("strays are judged without knowing the kernel's connections: {}", flows.error().message);
    spdlog::info("doubtful packets come by {} ({}), {} of them{}", transport_, why_, workers_.size(),
                 decide_.dry_run ? "; dry run: decided, but not acted upon" : "");
    return {};
}

Result<void> Escalation::open_workers() {
    const TransportOptions options = transport_options(escalation_);
    TransportChoice choice = escalation_.transport;
    if (!workers_.empty()) choice = transport_ == "ring" ? TransportChoice::ring : TransportChoice::nfqueue;
    for (std::uint16_t i = 0; i < escalation_.queues; i++) {
        if (std::any_of(workers_.begin(), workers_.end(), [i](const auto& w) { return w->index() == i; }))
            continue;
        auto opened = open_transport(choice, i, escalation_.queues, options);
        if (!opened) return tl::unexpected(opened.error());
        transport_ = opened->transport->name();
        if (workers_.empty()) why_ = opened->why;
        choice = transport_ == "ring" ? TransportChoice::ring : TransportChoice::nfqueue;
        auto worker = Worker::start(i, std::move(opened->transport), decide_, *shared_, *keys_, notify_.get(),
                                    recorder_.get());
        if (!worker) return tl::unexpected(worker.error());
        workers_.push_back(std::move(*worker));
    }
    const bool ring = choice == TransportChoice::ring;
    set_module_policy(ring ? escalation_.fail : SW_RING_FAIL_ACCEPT);
    if (ring) return {};
    // To make the rule anew would drop what the queues hold: ours, or those that a daemon before
    // us left behind.
    if (const auto found = find_queue_rule();
        found && *found && (*found)->queues == queue_range(escalation_)) {
        rule_ = true;
        return {};
    }
    // The readers first, so that no packet finds a queue without one.
    const auto rule = install_queue_rule(queue_range(escalation_));
    if (!rule) return tl::unexpected(rule.error());
    rule_ = true;
    return {};
}

// For packets without a reader, in this network namespace. It outlives a daemon that is killed.
void Escalation::set_module_policy(sw_ring_fail fail) {
    if (!module_loaded()) return;
    auto control = ModuleControl::open();
    const auto done =
        control ? control->set_policy({.fail = fail}) : Result<void>(tl::unexpected(control.error()));
    if (!done)
        log_error(fmt::format("the kernel module keeps its policy for packets without a reader: {}",
                              done.error().message));
}

// A daemon that ends of its own will asks about nothing any more.
void Escalation::release_module() {
    if (escalation_.fail == SW_RING_FAIL_DROP) set_module_policy(SW_RING_FAIL_ACCEPT);
}

void Escalation::try_again_later() {
    if (!retry_) {
        auto timer = Timer::create(loop_, [this] { try_again(); });
        if (!timer) return log_error(timer.error().message);
        retry_.emplace(std::move(*timer));
    }
    const auto now = Backoff::Clock::now();
    const auto pause = std::max<Backoff::Clock::duration>(backoff_.left(now), Backoff::first);
    next_try_ = now + pause;
    retry_->every(std::chrono::duration_cast<std::chrono::milliseconds>(pause));
}

// What is still open stays so; only its like can join it.
void Escalation::try_again() {
    retry_->every(0ms);
    backoff_.done(Backoff::Clock::now());
    const bool anew = workers_.empty();
    if (anew) close();
    const auto done = anew ? start() : open_workers();
    if (done) {
        spdlog::info("doubtful packets are asked about again");
        return problem_.clear();
    }
    if (anew) close();
    // The same once more is no news.
    if (problem_ != done.error().message)
        log_error(fmt::format("doubtful packets are not asked about: {}", done.error().message));
    problem_ = done.error().message;
    try_again_later();
}

bool Escalation::queue_rule_missing() const {
    if (!rule_ || transport_ != "nfqueue") return false;
    const auto found = find_queue_rule();
    return found && (!*found || (*found)->queues != queue_range(escalation_));
}

void Escalation::restore_queue_rule() {
    if (const auto rule = install_queue_rule(queue_range(escalation_)); !rule)
        log_error(rule.error().message);
}

// Interfaces may number the same services differently; the deciders know one numbering.
void Escalation::load_services() {
    const auto found =
        std::find_if(guards_.begin(), guards_.end(), [](const auto& guard) { return guard->instance(); });
    if (!shared_ || found == guards_.end()) return;
    // Numbers of services in what was decided so far are the old ones.
    take_waiting();
    const CompiledPolicy& policy = (*found)->policy();
    if (const auto loaded = shared_->services.load(policy); !loaded)
        return spdlog::error("the deciders keep the old services: {}", loaded.error().message);
    services_.clear();
    for (const sw_service& service : policy.services) services_.emplace_back(service.name);
}

std::string_view Escalation::service_name(unsigned number) const {
    return number < services_.size() ? std::string_view(services_[number]) : std::string_view();
}

void Escalation::observe(const Guard& guard, const Event& event) {
    if (!observer_) return;
    FlowEvent seen;
    seen.time = static_cast<std::uint64_t>(event.time.count());
    seen.kind = event.type == SW_EVENT_HANDSHAKE ? EventKind::handshake : EventKind::shape;
    seen.family = event.source.family;
    seen.source = raw_address(event.source);
    seen.destination = raw_address(event.destination);
    seen.source_port = event.source_port;
    seen.destination_port = event.destination_port;
    seen.shape = event.shape;
    seen.protocol = IPPROTO_TCP;
    if (guard.instance()) seen.ifindex = guard.instance()->interface().index;
    Decision decision;
    const std::uint64_t now = trace_time(monotonic_now());
    observer_->decide(seen, now, decision);
    if (observed_ && observed_->on()) observed_->push(seen, now, decision, false);
    for (const Action& action : decision.wanted_actions()) {
        const WantedAction wanted(action, decision, seen.kind);
        if (wanted.due()) take(wanted);
    }
    write_tickets();
}

void Escalation::take_actions() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = read(notify_.get(), &count, sizeof count);
    // Before the actions are taken, so that those of its last batch are among them.
    std::vector<std::string> failures;
    for (const auto& worker : workers_) failures.push_back(worker->failure());
    take_waiting();
    // The transport goes with its worker, so that what it held gets the fail policy.
    auto next = failures.cbegin();
    const auto failed = std::erase_if(workers_, [&](const auto&) {
        const std::string& failure = *next++;
        if (failure.empty()) return false;
        problem_ = failure;
        log_error(fmt::format("doubtful packets are not asked about any more: {}", failure));
        return true;
    });
    if (failed) try_again_later();
}

void Escalation::take_waiting() {
    WantedAction wanted;
    for (const auto& worker : workers_) {
        // Not more than there is room for, so that a flood does not keep us here.
        for (std::size_t i = 0; i < ActionQueue::size && worker->actions().pop(wanted); i++) take(wanted);
    }
    write_tickets();
}

void Escalation::take(const WantedAction& wanted) {
    switch (wanted.action.kind) {
        case Action::Kind::ticket:
            tickets_.push_back({wanted.action.key, wanted.action.ticket_action,
                                static_cast<std::uint8_t>(wanted.decider),
                                std::chrono::milliseconds(wanted.action.lifetime_ms)});
            break;
        case Action::Kind::set:
            add_to_set(wanted);
            break;
        case Action::Kind::report:
            report(wanted);
            break;
    }
}

// On every interface, where the same service may have another number.
void Escalation::write_tickets() {
    if (tickets_.empty()) return;
    std::vector<Ticket> translated;
    for (const auto& guard : guards_) {
        if (!guard->instance()) continue;
        translated.clear();
        for (Ticket ticket : tickets_) {
            const unsigned service = guard->policy().find(service_name(ticket.key.service));
            if (!service) continue;
            ticket.key.service = static_cast<__u16>(service);
            translated.push_back(ticket);
        }
        if (const auto done = guard->write_tickets(translated); done) {
            written_ += translated.size();
        } else {
            failed_ += translated.size();
            spdlog::error("{}: {}", guard->name(), done.error().message);
        }
    }
    tickets_.clear();
}

// The set is the administrator's, who may have made it otherwise; one that is not there is made.
// So may be an entry that is in it already, which stays as it is.
Result<bool> Escalation::try_to_add(const WantedAction& wanted) {
    const Action& action = wanted.action;
    const std::string& name = decide_.deny_set[action.family];
    const Prefix prefix{to_address(action.source, action.family), action.length};
    const std::string plain = fmt::format("add {} {} timeout {}", name, prefix.to_string(),
                                          std::max(1u, action.lifetime_ms / 1000));
    // With the mark it acts at the driver hook and in the firewall's one rule too.
    std::string mark = fmt::format(" skbmark {:#x}/{:#x}", SW_MARK_DENY, SW_MARK_CLASS_MASK);
    std::string comment = fmt::format(" comment synwardd:{}", decision_reason_name(wanted.reason));
    if (!ipset_) {
        auto session = Ipset::create();
        if (!session) return tl::unexpected(session.error());
        ipset_.emplace(std::move(*session));
    }
    bool made = false;
    while (true) {
        const auto added = ipset_->run(fmt::format("{}{}{}", plain, mark, comment));
        if (added) return true;
        const Error& error = added.error();
        const auto says = [&](std::string_view words) {
            return error.message.find(words) != std::string::npos;
        };
        if (says("already added")) return false;
        // A set made without room for marks still serves rules of the administrator.
        if (std::string& left_out = says("comment support") ? comment : mark;
            !left_out.empty() && (says("comment support") || says("kbinfo"))) {
            left_out.clear();
            continue;
        }
        if (error.code != ErrorCode::missing || std::exchange(made, true)) return tl::unexpected(error);
        const auto created = ipset_->run(create_command(name, SetKind::net, action.family));
        if (!created) return tl::unexpected(created.error());
    }
}

void Escalation::add_to_set(const WantedAction& wanted) {
    const auto added = try_to_add(wanted);
    if (!added) {
        failed_++;
        return log_error(added.error().message);
    }
    if (!*added) {
        kept_++;
        return;
    }
    denied_++;
    if (set_changed_) set_changed_(decide_.deny_set[wanted.action.family]);
}

void Escalation::report(const WantedAction& wanted) {
    const std::string source = to_address(wanted.action.source, wanted.action.family).to_string();
    const std::string service(service_name(wanted.service));
    // What a dry run is for. A flood of sources shall not flood the log, which has the rest as debug.
    const bool loud = wanted.dry && told_.may_tell(monotonic_now());
    spdlog::log(loud ? spdlog::level::info : spdlog::level::debug, "{}{}: {} from {} {}: {}",
                wanted.dry ? "dry run: " : "", service, event_kind_name(wanted.kind), source,
                wanted.dropped ? "dropped" : "accepted", decision_reason_text(wanted.reason));
    sink_({{"time_ns", monotonic_now()},
           {"event", "decision"},
           {"name", service},
           {"kind", event_kind_name(wanted.kind)},
           {"source", source},
           {"verdict", wanted.dropped ? "drop" : "accept"},
           {"dry_run", wanted.dry},
           {"decider", decider_name(wanted.decider)},
           {"reason", decision_reason_name(wanted.reason)},
           {"text", decision_reason_text(wanted.reason)}});
}

nlohmann::json Escalation::status() const {
    nlohmann::json workers = nlohmann::json::array();
    for (std::size_t i = 0; i < workers_.size(); i++) {
        const Worker& worker = *workers_[i];
        const TransportStats stats = worker.transport().stats();
        nlohmann::json reasons = nlohmann::json::object();
        for (unsigned r = 0; r < static_cast<unsigned>(DecisionReason::count); r++)
            if (const auto count = worker.chain().count(static_cast<DecisionReason>(r)))
                reasons[std::string(decision_reason_name(static_cast<DecisionReason>(r)))] = count;
        workers.push_back({{"received", stats.received},
                           {"verdicts", stats.verdicts},
                           {"batches", stats.batches},
                           {"system_calls", stats.system_calls},
                           {"lost", stats.lost},
                           {"torn", stats.torn},
                           {"refused", stats.refused},
                           {"actions_lost", worker.actions().lost()},
                           {"decisions", std::move(reasons)}});
    }
    return {{"running", !workers_.empty()},
            {"transport", transport_.empty() ? nlohmann::json() : nlohmann::json(transport_)},
            {"why", why_.empty() ? nlohmann::json() : nlohmann::json(why_)},
            {"problem", problem_.empty() ? nlohmann::json() : nlohmann::json(problem_)},
            {"next_try_ms", problem_.empty() ? nlohmann::json() : nlohmann::json(until(next_try_))},
            {"dry_run", decide_.dry_run},
            {"tickets_written", written_},
            {"sources_denied", denied_},
            {"sources_kept", kept_},
            {"actions_failed", failed_},
            {"recording", recording()},
            {"workers", std::move(workers)}};
}

nlohmann::json Escalation::recording() const {
    if (!recorder_ && recording_problem_.empty()) return {};
    const Recorder::Status status =
        recorder_
            ? recorder_->status()
            : Recorder::Status{.file = record_.file, .limit = record_.limit, .problem = recording_problem_};
    return {{"file", status.file},
            {"events", status.events},
            {"bytes", status.bytes},
            {"limit", status.limit},
            {"lost", status.lost},
            {"full", status.full},
            {"problem", status.problem.empty() ? nlohmann::json() : nlohmann::json(status.problem)}};
}

Result<Explanation> Escalation::why(const Address& address) const {
    if (workers_.empty())
        return fail(ErrorCode::missing,
                    problem_.empty()
                        ? "the config of synwardd escalates nothing: set stray, odd_syn, fragment or "
                          "malformed of a service to \"escalate\""
                        : fmt::format("the deciders do not run: {}", problem_));
    std::vector<const Chain*> chains;
    for (const auto& worker : workers_) chains.push_back(&worker->chain());
    chains.push_back(observer_.get());
    return synward::why(address, chains, monotonic_now());
}

}  // namespace synward
