// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/notifier.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <ctime>

namespace synward::notifier {

void ready(const std::string& status) {
    sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void reloading() {
    // Type=notify-reload wants the time, so that an older answer is not taken for this one.
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
    sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds).c_str());
}

void stopping() {
    sd_notify(0, "STOPPING=1");
}

}  // namespace synward::notifier
