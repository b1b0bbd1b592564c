// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/mirror.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/log.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// The control thread waits so long for its orders: a large set may take longer.
constexpr auto patience = 5s;
// Above this, memory that a round used goes back to the system.
constexpr std::size_t large = 100'000;

void ring(const Descriptor& eventfd) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(eventfd.get(), &one, sizeof one);
}

void drain(const Descriptor& eventfd) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = read(eventfd.get(), &count, sizeof count);
}

SetMirror make_mirror(std::optional<SetReader> reader) {
    return SetMirror(std::move(reader), [](bool problem, const std::string& text) {
        spdlog::log(problem ? spdlog::level::warn : spdlog::level::info, "{}", text);
    });
}

std::string events_object(const std::string& object) {
    if (object.empty()) return {};
    return (std::filesystem::path(object).parent_path() / "set_events.bpf.o").string();
}

}  // namespace

Mirror::Mirror(EventLoop& loop, std::optional<SetReader> reader, std::optional<SetEvents> events,
               std::string why)
    : loop_(loop),
      why_(std::move(why)),
      mirror_(make_mirror(std::move(reader))),
      events_(std::move(events)) {}

Result<std::unique_ptr<Mirror>> Mirror::start(EventLoop& loop, const std::string& object) {
    std::optional<SetReader> reader;
    std::optional<SetEvents> events;
    std::string why;
    if (auto opened = SetReader::open())
        reader.emplace(std::move(*opened));
    else
        why = opened.error().message;
    if (reader) {
        auto told = SetEvents::open(events_object(object));
        if (told)
            events.emplace(std::move(*told));
        else
            why = told.error().message;
        // libbpf has parsed the kernel's types, which took megabytes.
        malloc_trim(0);
    }
    if (!reader)
        spdlog::warn("ipsets do not act at the driver hook: {}", why);
    else if (!events)
        spdlog::info("changes of ipsets are found by looking for them: {}", why);
    std::unique_ptr<Mirror> mirror(new Mirror(loop, std::move(reader), std::move(events), std::move(why)));
    mirror->wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    mirror->changed_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!mirror->wake_ || !mirror->changed_) return fail_errno(errno, "cannot make an eventfd");
    auto watch =
        loop.watch(mirror->changed_.get(), EPOLLIN, [m = mirror.get()](std::uint32_t) { m->take_changes(); });
    if (!watch) return tl::unexpected(watch.error());
    mirror->watch_ = *watch;
    try {
        mirror->thread_ = std::thread([m = mirror.get()] { m->run(); });
    } catch (const std::system_error& error) {
        return fail_errno(error.code().value(), "cannot start the thread that follows the ipsets");
    }
    return mirror;
}

Mirror::~Mirror() {
    if (watch_) loop_.forget(watch_);
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    ring(wake_);
    if (thread_.joinable()) thread_.join();
}

// Opens the maps of what came, and notes what went.
void Mirror::look_at(const Guards& guards, Orders& orders) {
    std::vector<Followed> now;
    for (const auto& guard : guards) {
        if (!guard->instance()) continue;
        const Instance& instance = *guard->instance();
        const Interface& interface = instance.interface();
        const Followed one{guard->name(), instance.attachment().program_id, static_cast<int>(interface.index),
                           interface.receivers};
        if (std::ranges::find(followed_, one) == followed_.end()) {
            auto maps = instance.sources();
            if (!maps) {
                log_error(fmt::format("{}: {}", one.name, maps.error().message));
                continue;
            }
            orders.come.push_back({one.name, interface, std::move(*maps)});
        }
        now.push_back(one);
    }
    for (const Followed& f : followed_)
        if (std::none_of(now.begin(), now.end(), [&](const Followed& n) { return n.name == f.name; }))
            orders.gone.push_back(f.name);
    followed_ = std::move(now);
}

// Adds to the orders that wait, and awaits that they are in force.
void Mirror::order(Orders orders) {
    std::unique_lock lock(mutex_);
    if (orders.config) orders_.config = std::move(orders.config);
    for (std::string& name : orders.gone) {
        std::erase_if(orders_.come, [&](const Come& one) { return one.name == name; });
        orders_.gone.push_back(std::move(name));
    }
    for (auto& one : orders.come) orders_.come.push_back(std::move(one));
    const std::uint64_t number = ++orders_.number;
    ring(wake_);
    done_.wait_for(lock, patience, [&] { return done_number_ >= number || stop_; });
}

void Mirror::configure(const Config& config, const Guards& guards) {
    Orders orders;
    orders.config.emplace(config.classify, config.sources);
    look_at(guards, orders);
    order(std::move(orders));
}

void Mirror::follow(const Guards& guards) {
    Orders orders;
    look_at(guards, orders);
    if (!orders.come.empty() || !orders.gone.empty()) order(std::move(orders));
}

std::uint64_t Mirror::report(const std::string& name) {
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(mutex_);
        auto& reported = orders_.reported;
        // Before the first config there is nothing to do.
        number = orders_.number ? ++orders_.number : 0;
        if (std::find(reported.begin(), reported.end(), name) != reported.end()) return number;
        if (reported.size() < 64)
            reported.push_back(name);
        else
            reported = {""};  // every set
    }
    ring(wake_);
    return number;
}

void Mirror::take_changes() {
    drain(changed_);
    std::optional<SetMirror::Change> change;
    {
        const std::lock_guard lock(mutex_);
        change.swap(change_);
    }
    if (change && sink_) sink_(std::move(change->index), change->prefixes);
}

// --- the thread ---------------------------------------------------------------

bool Mirror::wait() {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(mirror_.next() - SetMirror::Clock::now()).count();
    std::array<pollfd, 2> waiting{{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                   {.fd = events_ ? events_->fd() : -1, .events = POLLIN, .revents = 0}}};
    const int most = 60'000;
    const auto timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, most));
    if (poll(waiting.data(), waiting.size(), timeout) < 0 && errno != EINTR) {
        spdlog::error("ipsets are not followed any more: poll failed");
        return false;
    }
    if (waiting[0].revents) drain(wake_);
    if (waiting[1].revents) events_seen_ += events_->consume(mirror_);
    return true;
}

void Mirror::obey(Orders orders) {
    doing_ = orders.number;
    if (orders.config) mirror_.configure(orders.config->first, orders.config->second);
    for (const std::string& name : orders.gone) mirror_.remove_interface(name);
    for (Come& one : orders.come) {
        // The functions have to be copyable, which the maps are not.
        const auto maps = std::make_shared<SourceMaps>(std::move(one.maps));
        mirror_.add_interface(
            one.name, one.interface.receivers,
            [this, interface = one.interface, maps](std::vector<SourceEntry> wanted,
                                                    bool whole) -> Result<void> {
                const auto lock = InterfaceLock::take(interface, InterfaceLock::Part::sources);
                if (!lock) return tl::unexpected(lock.error());
                // A daemon that was killed may have left entries of a set that cannot be read now.
                if (maps->holds_others())
                    if (auto complete = mirror_.complete(); !complete) return complete;
                return whole ? maps->replace(std::move(wanted)) : maps->update(std::move(wanted));
            },
            [maps] { return maps->in_force(); },
            [interface = one.interface, maps](const Prefix& within,
                                              std::vector<SourceEntry> wanted) -> Result<std::size_t> {
                const auto lock = InterfaceLock::take(interface, InterfaceLock::Part::sources);
                if (!lock) return tl::unexpected(lock.error());
                if (!maps->in_force()) return fail(ErrorCode::mismatch, "another process wrote them");
                if (auto done = maps->update(within, std::move(wanted)); !done)
                    return tl::unexpected(done.error());
                return maps->entries().size();
            });
    }
    // Whoever says so wrote it before: where events tell, they have told.
    if (!events_)
        for (const std::string& name : orders.reported) mirror_.report(name, SetOperation::add);
}

void Mirror::run() {
    pthread_setname_np(pthread_self(), "sets");
    while (true) {
        Orders orders;
        {
            const std::lock_guard lock(mutex_);
            if (stop_) return;
            orders = std::exchange(orders_, {});
            orders_.number = orders.number;
        }
        obey(std::move(orders));
        auto change = doing_ ? mirror_.round() : std::nullopt;
        if (change) {
            const std::size_t entries = change->index->size();
            spdlog::debug("{} entries of ipsets are bound now; those of {} prefixes changed", entries,
                          change->prefixes.size());
            // Not for what was told alone, which would take longer than itself.
            if (const auto reads = mirror_.status().reads; reads != std::exchange(trimmed_reads_, reads))
                if (entries >= large) malloc_trim(0);
        }
        {
            const std::lock_guard lock(mutex_);
            status_ = mirror_.status();
            status_events_ = events_seen_;
            if (change) {
                // One that the control thread did not get to yet goes up in this one.
                if (change_) {
                    auto& all = change->prefixes;
                    all.insert(all.end(), change_->prefixes.begin(), change_->prefixes.end());
                    if (all.size() > large) all = {{{SW_IPV4, {}}, 0}, {{SW_IPV6, {}}, 0}};
                }
                change_ = std::move(change);
                ring(changed_);
            }
            done_number_ = doing_;
        }
        done_.notify_all();
        if (!wait()) return;
    }
}

nlohmann::json Mirror::status() const {
    const std::lock_guard lock(mutex_);
    nlohmann::json sets = nlohmann::json::array();
    const auto ms = [](std::chrono::nanoseconds time) {
        const auto microseconds = std::chrono::floor<std::chrono::microseconds>(time).count();
        return static_cast<double>(microseconds) / 1000;
    };
    for (const auto& set : status_.sets) {
        nlohmann::json one{{"name", set.name},
                           {"type", set.type.empty() ? nlohmann::json() : nlohmann::json(set.type)},
                           {"entries", set.entries},
                           {"memory", set.memory},
                           {"poll_ms", ms(set.poll)},
                           {"read_ms", ms(set.read)}};
        if (!set.problem.empty()) one["problem"] = set.problem;
        sets.push_back(std::move(one));
    }
    nlohmann::json interfaces = nlohmann::json::array();
    for (const auto& interface : status_.interfaces) {
        nlohmann::json one{{"interface", interface.name},          {"entries", interface.entries},
                           {"replaced", interface.replaced},       {"updated", interface.updated},
                           {"overwritten", interface.overwritten}, {"kernel_only", interface.kernel_only}};
        if (!interface.problem.empty()) one["problem"] = interface.problem;
        if (!interface.ports_problem.empty()) one["ports_problem"] = interface.ports_problem;
        interfaces.push_back(std::move(one));
    }
    std::size_t undefined = 0;
    nlohmann::json undefined_marks = nlohmann::json::array();
    for (const UndefinedMark& one : status_.undefined) {
        undefined += one.entries;
        undefined_marks.push_back({{"set", one.set}, {"mark", one.mark}, {"entries", one.entries}});
    }
    return {{"noticed_by", why_.empty() ? "events" : "polling"},
            {"why", why_.empty() ? nlohmann::json() : nlohmann::json(why_)},
            {"sets", std::move(sets)},
            {"interfaces", std::move(interfaces)},
            {"done", done_number_},
            {"events", status_events_},
            {"polls", status_.polls},
            {"reads", status_.reads},
            {"told", status_.told},
            {"changes", status_.changes},
            {"drift", status_.drift},
            {"undefined", undefined},
            {"undefined_marks", std::move(undefined_marks)}};
}

}  // namespace synward
