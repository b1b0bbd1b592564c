// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/daemon_link.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "lib/json.h"
#include "lib/names.h"
#include "tools/cli/config_file.h"

namespace synward::cli {

using nlohmann::json;

DaemonLink::DaemonLink(const Context& context) {
    auto client = ControlClient::connect(control_path(context.socket));
    if (!client) return;
    auto status = client->request({{"command", "status"}});
    if (!status) return;
    client_.emplace(std::move(*client));
    status_ = std::move(*status);
}

bool DaemonLink::protects(const std::string& interface) const {
    if (!running()) return false;
    for (const auto& entry : status_["daemon"]["interfaces"])
        if (entry["interface"] == interface && entry["state"] == "protecting") return true;
    return false;
}

std::string DaemonLink::config_path() const {
    return running() ? status_["daemon"]["config"].get<std::string>() : std::string();
}

Result<void> DaemonLink::set_mode(Instance& instance, const std::string& service, sw_mode mode) {
    const std::string& interface = instance.interface().name;
    if (protects(interface)) {
        const auto done = client_->request(
            {{"command", "mode"}, {"interface", interface}, {"service", service}, {"mode", mode_name(mode)}});
        if (!done) return tl::unexpected(done.error());
        return {};
    }
    if (auto done = instance.set_mode(service, mode); !done) return done;
    return learn(instance);
}

Result<nlohmann::json> DaemonLink::rotate_keys(Instance& instance) {
    const std::string& interface = instance.interface().name;
    if (protects(interface)) {
        auto done = client_->request({{"command", "rotate"}, {"interface", interface}});
        if (!done) return done;
        return (*done)["interfaces"].at(0);
    }
    const auto rotation = instance.rotate_keys();
    if (!rotation) return tl::unexpected(rotation.error());
    nlohmann::json one = rotation_json(*rotation);
    one["interface"] = interface;
    return one;
}

// Should that fail, the daemon finds what changed by itself, if later.
void DaemonLink::set_changed(const std::string& name) {
    if (!running()) return;
    if (const auto done = client_->request({{"command", "set"}, {"name", name}}))
        awaited_ = done->value("number", std::uint64_t{0});
}

std::string DaemonLink::sets_problem(const std::string& interface) {
    using namespace std::chrono_literals;
    const auto deadline = std::chrono::steady_clock::now() + 3s;
    while (true) {
        auto status = client_->request({{"command", "status"}});
        if (!status) return {};  // what it ended with is not known
        status_ = std::move(*status);
        const json& mirror = status_["mirror"];
        if (mirror.value("done", std::uint64_t{0}) >= awaited_) {
            for (const json& one : mirror["interfaces"])
                if (one["interface"] == interface) return one.value("problem", std::string());
            return {};
        }
        if (std::chrono::steady_clock::now() > deadline) return {};
        std::this_thread::sleep_for(5ms);
    }
}

Result<void> DaemonLink::learn(Instance& instance) {
    if (protects(instance.interface().name)) {
        const auto done = client_->request({{"command", "learn"}, {"interface", instance.interface().name}});
        if (!done) return tl::unexpected(done.error());
        return {};
    }
    const auto states = instance.states();
    if (!states) return tl::unexpected(states.error());
    // A small filter is one that a daemon left which tends it no more.
    const bool small = instance.filter_use().shift < SW_FILTER_SHIFT;
    const bool wanted = std::any_of(states->begin(), states->end(),
                                    [&](const ServiceState& s) { return s.armed && (small || !s.trusted); });
    if (!wanted) return {};
    if (const auto gained = instance.learn(); !gained) return tl::unexpected(gained.error());
    return {};
}

}  // namespace synward::cli
