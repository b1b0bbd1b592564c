// SPDX-License-Identifier: GPL-2.0-or-later
// Tells the service manager how the daemon is: sd_notify(3). Does nothing where
// nobody listens.
#pragma once

#include <string>

namespace synward::notifier {

void ready(const std::string& status);
void reloading();
void stopping();

}  // namespace synward::notifier
