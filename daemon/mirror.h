// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that keeps the driver hook of every interface in step with the bound ipsets
// and the config's sources: reading a million entries takes a while, and nobody else
// should wait meanwhile. All functions are for the control thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/event_loop.h"
#include "daemon/guard.h"
#include "lib/descriptor.h"
#include "lib/result.h"
#include "lib/sets/mirror.h"
#include "lib/sets/set_events.h"
#include "lib/source_maps.h"

namespace synward {

class Mirror {
  public:
    using Guards = std::vector<std::unique_ptr<Guard>>;
    using Sink = std::function<void(std::shared_ptr<const SetIndex>, const std::vector<Prefix>& changed)>;

    // Of the caller's network namespace. `object` as DaemonConfig has it. `loop` outlives this.
    [[nodiscard]] static Result<std::unique_ptr<Mirror>> start(EventLoop& loop, const std::string& object);
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;
    // What is in the maps stays there.
    ~Mirror();

    // Called on the control thread when sets have changed: the sets as they are, and the
    // prefixes of entries that differ (0.0.0.0/0 and ::/0 where they are too many).
    void on_change(Sink sink) { sink_ = std::move(sink); }

    // Which sets, and the interfaces that are protected now; at the start, at a reload and
    // when interfaces come and go. Returns when they are in force, or after `patience`.
    void configure(const Config& config, const Guards& guards);
    void follow(const Guards& guards);
    // Somebody changed a set just now (or all, where the name is empty): do not wait to find
    // it, which takes long where a header does not show it, as with an entry's new mark.
    // Returns a number; it is done when `done` of the status has reached it.
    std::uint64_t report(const std::string& name);

    [[nodiscard]] nlohmann::json status() const;

  private:
    // Somebody followed from now on.
    struct Come {
        std::string name;
        Interface interface;
        SourceMaps maps;
    };
    // What the thread is asked for; whoever holds the mutex may look.
    struct Orders {
        std::optional<std::pair<ClassifyConfig, SourcesConfig>> config;
        std::vector<std::string> gone;
        std::vector<Come> come;
        std::vector<std::string> reported;
        std::uint64_t number = 0;
    };
    struct Followed {
        std::string name;
        std::uint32_t program = 0;
        int index = 0;
        std::vector<std::string> receivers;

        bool operator==(const Followed&) const = default;
    };

    Mirror(EventLoop& loop, std::optional<SetReader> reader, std::optional<SetEvents> events,
           std::string why);
    void run();
    bool wait();  // false: to be stopped
    void obey(Orders orders);
    void take_changes();
    void wake();
    void look_at(const Guards& guards, Orders& orders);
    void order(Orders orders);

    EventLoop& loop_;
    Sink sink_;
    std::vector<Followed> followed_;
    EventLoop::Watch watch_ = 0;
    Descriptor wake_;        // for the thread
    Descriptor changed_;     // from the thread
    const std::string why_;  // changes are not told of; empty: they are

    // The thread's.
    SetMirror mirror_;
    std::optional<SetEvents> events_;
    std::uint64_t events_seen_ = 0;
    std::uint64_t doing_ = 0;
    std::uint64_t trimmed_reads_ = 0;  // of the last round that read sets

    mutable std::mutex mutex_;
    std::condition_variable done_;
    bool stop_ = false;
    Orders orders_;
    std::uint64_t done_number_ = 0;  // of the last orders that are in force
    std::optional<SetMirror::Change> change_;
    MirrorStatus status_;
    std::uint64_t status_events_ = 0;

    std::thread thread_;
};

}  // namespace synward
