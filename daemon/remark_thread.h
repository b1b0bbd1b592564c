// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that gives existing connections the class that the sets have for them now: a
// dump of a million conntrack entries takes more than a second.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/classify/remark.h"
#include "lib/result.h"
#include "lib/sets/index.h"

namespace synward {

class RemarkThread {
  public:
    struct Work {
        std::shared_ptr<const SetIndex> index;  // of the sets that new connections are looked up in
        std::vector<Prefix> changed;            // only connections from there are looked at
        std::uint8_t decided = 0;               // the class byte that the deciders give: no set did
    };
    struct Status {
        std::uint64_t runs = 0;
        std::uint64_t changed = 0;  // connections that got another class
        std::uint64_t unclear = 0;  // that were left as they are
        std::string problem;        // of the last run
    };

    // `unsupported` where the kernel has no ctnetlink.
    [[nodiscard]] static Result<std::unique_ptr<RemarkThread>> start();
    RemarkThread(const RemarkThread&) = delete;
    RemarkThread& operator=(const RemarkThread&) = delete;
    ~RemarkThread();

    // At once, unless it just ran: it takes a fifth of a core at most, and what is wanted
    // meanwhile becomes one run, with the latest index.
    void want(Work work);
    [[nodiscard]] Status status() const;

  private:
    explicit RemarkThread(Remarker remarker) : remarker_(std::move(remarker)) {}
    void run();
    void apply(Work work);

    Remarker remarker_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    bool wanted_ = false;
    bool failed_ = false;  // the last run: the next one looks at everything
    Work next_;
    Status status_;
    std::thread thread_;
};

}  // namespace synward
