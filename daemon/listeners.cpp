// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/listeners.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/local_services.h"

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
        // Addresses that could not be read are tried again.
        const bool addresses = !listeners->address_problem_.empty() && listeners->read_addresses();
        const bool sockets = listeners->sockets_ && listeners->read_sockets();
        if (addresses || sockets) listeners->changed_();
    });
    if (!timer) return tl::unexpected(timer.error());
    made->timer_.emplace(std::move(*timer));
    return made;
}

void Listeners::configure(const Config& config) {
    sockets_ = config.daemon.listening;
    addresses_ = sockets_ || has_local(config.services);
    address_problem_.clear();
    pace();
    if (sockets_)
        read_sockets();
    else
        history_ = {};
    interfaces_ = config.daemon.interfaces;
    if (addresses_)
        read_addresses();
    else
        local_.clear();
}

void Listeners::pace() {
    const bool polls = sockets_ || !address_problem_.empty();
    timer_->every(polls ? std::chrono::seconds(1) : std::chrono::seconds(0));
}

void Listeners::addresses_changed() {
    if (addresses_ && read_addresses()) changed_();
}

// What cannot be read stays as it was.
bool Listeners::read_sockets() {
    const auto listeners = read_listeners();
    if (!listeners) {
        if (problem_ != listeners.error().message)
            spdlog::error("listening services are not followed: {}", problem_ = listeners.error().message);
        return false;
    }
    problem_.clear();
    return history_.update(*listeners);
}

bool Listeners::read_addresses() {
    auto network = read_local_network();
    const std::string problem = network ? std::string() : network.error().message;
    if (problem != address_problem_) {
        if (!network) spdlog::error("local addresses are not followed: {}", problem);
        address_problem_ = problem;
        pace();
    }
    if (!network) return false;
    std::map<std::string, LocalAddresses> local;
    for (const std::string& name : interfaces_) local.emplace(name, local_addresses(*network, name));
    if (local == local_) return false;
    local_ = std::move(local);
    return true;
}

LocalAddresses Listeners::local(const std::string& interface) const {
    const auto known = local_.find(interface);
    if (known != local_.end() && known->second.index) return known->second;
    // At a reload, or of an interface that has just appeared, nothing was read yet.
    const auto network = read_local_network();
    return network ? local_addresses(*network, interface) : LocalAddresses{};
}

Config Listeners::effective(const Config& config, const std::string& interface) {
    if (!config.daemon.listening) notes_.erase(interface);
    if (!config.daemon.listening && !has_local(config.services)) return config;
    const LocalAddresses here = local(interface);
    Config result = config;
    fill_local(result.services, here);
    if (!config.daemon.listening) return result;
    if (!sockets_) history_.update(read_listeners().value_or(std::vector<Listener>{}));
    auto found = listening_services(history_.believed(), here, result);
    result.services = std::move(found.services);
    std::vector<std::string> notes;
    if (!found.unprotected.empty())
        notes.push_back(
            fmt::format("something listens on {}, but there is room for {} services only; name the ports "
                        "that matter in a [[service]]",
                        fmt::join(found.unprotected, ", "), SW_SERVICES - 1));
    if (!found.beyond.empty())
        notes.push_back(
            fmt::format("what listens on {} is bound to a device beyond {} (a VRF, a VLAN, a bridge), where "
                        "the program cannot look it up: its SYNs pass unanswered",
                        fmt::join(found.beyond, ", "), interface));
    if (auto& told = notes_[interface]; told != notes) {
        told = std::move(notes);
        for (const std::string& note : told) spdlog::warn("{}: {}", interface, note);
    }
    return result;
}

std::vector<std::string> Listeners::notes(const std::string& interface) const {
    const auto found = notes_.find(interface);
    return found == notes_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace synward
