// SPDX-License-Identifier: GPL-2.0-or-later
// The config parser: any text is accepted or refused with a message that fits a
// terminal, and what is accepted keeps its promises.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "lib/config.h"

namespace {

// Not assert(): a release build must find it too.
void require(bool promise) {
    if (!promise) std::abort();
}

void check(const synward::Config& config) {
    std::set<std::string> names;
    for (const auto& service : config.services) {
        require(names.insert(service.name).second);
        require(!service.name.empty() && service.name.size() < SW_NAME_LENGTH);
        require(!service.ports.empty());
        for (const auto port : service.ports) require(port != 0);
        require(service.settings.disarm() <= service.settings.arm_rate);
        require(service.settings.hold.count() >= 100);
        require(service.settings.mode < SW_MODE_COUNT && service.settings.delivery < SW_DELIVERY_COUNT);
        require(service.settings.wscale.value_or(0) <= 14);
    }
    for (const auto* list : {&config.sources.deny, &config.sources.allow})
        for (const auto& prefix : *list) require(synward::Prefix::parse(prefix.to_string()) == prefix);
    require(config.daemon.control.starts_with('/') && config.daemon.control.size() < 108);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = synward::parse_config(text, "fuzz");
    if (config) {
        check(*config);
    } else {
        require(config.error().code == synward::ErrorCode::config);
        require(config.error().message.starts_with("fuzz:"));
    }
    return 0;
}
