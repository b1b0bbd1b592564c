// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/listeners.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

namespace synward {

bool ListenerHistory::update(const std::vector<Listener>& seen) {
    if (!begun_) {
        begun_ = true;
        believed_ = seen;
        std::ranges::sort(believed_);
        return !believed_.empty();
    }
    const std::vector<Listener> before = believed_;
    std::map<Listener, unsigned> doubts;
    const auto doubt = [&](const Listener& listener, unsigned enough) {
        const auto known = doubts_.find(listener);
        const unsigned readings = (known == doubts_.end() ? 0 : known->second) + 1;
        if (readings >= enough) return true;
        doubts[listener] = readings;
        return false;
    };
    for (const Listener& listener : seen)
        if (std::ranges::find(before, listener) == before.end() && doubt(listener, come))
            believed_.push_back(listener);
    for (const Listener& listener : before)
        if (std::ranges::find(seen, listener) == seen.end() && doubt(listener, gone))
            std::erase(believed_, listener);
    doubts_ = std::move(doubts);
    std::ranges::sort(believed_);
    return believed_ != before;
}

Result<std::unique_ptr<Listeners>> Listeners::create(EventLoop& loop, std::function<void()> changed) {
    std::unique_ptr<Listeners> made(new Listeners(std::move(changed)));
    auto timer = Timer::create(loop, [listeners = made.get()] {
        if (listeners->read()) listeners->changed_();
    });
    if (!timer) return tl::unexpected(timer.error());
    made->timer_.emplace(std::move(*timer));
    return made;
}

void Listeners::configure(const Config& config) {
    following_ = config.daemon.listening;
    interfaces_ = config.daemon.interfaces;
    timer_->every(following_ ? std::chrono::seconds(1) : std::chrono::seconds(0));
    if (following_)
        read();
    else
        history_ = {};
}

// What cannot be read stays as it was.
bool Listeners::read() {
    const auto listeners = read_listeners();
    if (!listeners) {
        if (problem_ != listeners.error().message)
            spdlog::error("listening services are not followed: {}", problem_ = listeners.error().message);
        return false;
    }
    problem_.clear();
    bool changed = history_.update(*listeners);
    std::map<std::string, LocalInterface> addresses;
    for (const std::string& name : interfaces_) {
        auto local = read_addresses(name);
        // It is not there (yet): the guard says so.
        if (!local) continue;
        const auto known = addresses_.find(name);
        changed |= known == addresses_.end() || known->second.index != local->index ||
                   known->second.addresses != local->addresses;
        addresses.emplace(name, std::move(*local));
    }
    addresses_ = std::move(addresses);
    return changed;
}

Config Listeners::effective(const Config& config, const std::string& interface) {
    if (!config.daemon.listening) return config;
    // At a reload, or for an interface that has just appeared, nothing was read yet.
    if (!following_) history_.update(read_listeners().value_or(std::vector<Listener>{}));
    if (!addresses_.contains(interface))
        if (auto local = read_addresses(interface)) addresses_.emplace(interface, std::move(*local));
    Config result = config;
    auto found = listening_services(history_.believed(), addresses_[interface], config);
    result.services = std::move(found.services);
    if (auto& told = unprotected_[interface]; told != found.unprotected) {
        told = found.unprotected;
        if (!told.empty())
            spdlog::warn(
                "{}: something listens on {}, but there is room for {} services only; name the ports "
                "that matter in a [[service]]",
                interface, fmt::join(told, ", "), SW_SERVICES - 1);
    }
    return result;
}

}  // namespace synward
